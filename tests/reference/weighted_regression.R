# Reference values for tests/models/test_weighted_regression.py: survey::svyglm on design.csv (see design.R).
# Run in this folder: Rscript weighted_regression.R   (writes weighted_regression.json; survey 4.1-1)
suppressPackageStartupMessages({library(survey); library(jsonlite)})
options(survey.lonely.psu = "fail")
d <- transform(read.csv("design.csv"), n_teams_80 = 80)
heads <- data.frame(unit = c("Sales", "IT", "Logistics", "Finance", "HR"), Freq = c(240, 180, 150, 90, 60))
known <- fromJSON("design.json")$extra
margin <- function(name) setNames(data.frame(names(known[[name]]), unlist(known[[name]])), c(name, "Freq"))
designs <- list(
  weights = svydesign(~1, weights = ~weight0, data = d),
  strata = svydesign(~1, strata = ~unit, weights = ~weight0, data = d),
  clusters = svydesign(~team, weights = ~weight0, data = d),
  both = svydesign(~team, strata = ~unit, weights = ~weight0, data = d, nest = TRUE),
  population = svydesign(~1, strata = ~unit, fpc = ~n_unit, data = d),
  teams = svydesign(~team, weights = ~weight0, fpc = ~n_teams_80, data = d),
  raked = rake(svydesign(~1, fpc = ~n_all, data = d), list(~unit, ~grade, ~site), list(margin("unit"), margin("grade"),
               margin("site")), control = list(maxit = 5000, epsilon = 1e-13)),
  poststratified = postStratify(svydesign(~1, weights = ~1, data = d), ~unit, heads))
num <- as.numeric
found <- function(formula, design, family) {
  again <- function(start) eval(bquote(svyglm(.(formula), design, family = .(family), start = .(start),
                                              control = list(epsilon = 1e-14, maxit = 100))))
  fit <- again(NULL)
  for (i in 1:3) fit <- again(coef(fit)) # so that the weights too are those of the last step
  s <- summary(fit)$coefficients
  b <- coef(fit)[-1]; wald <- num(b %*% solve(vcov(fit)[-1, -1], b)) / length(b) # as regTermTest
  list(estimate = num(s[, 1]), std_error = num(s[, 2]), p_value = num(s[, 4]), df = fit$df.residual,
       conf = unname(confint(fit)), covariance = unname(as.matrix(vcov(fit))), joint = c(wald, pf(wald, length(b), fit$df.residual, lower.tail = FALSE)))
}
linear <- use ~ days + grade + site; logit <- active ~ use + site
write_json(list(linear = lapply(designs, found, formula = linear, family = gaussian()),
                logit = lapply(designs, found, formula = logit, family = quasibinomial()),
                probit = lapply(designs, found, formula = logit, family = quasibinomial("probit"))),
           "weighted_regression.json", digits = 16, auto_unbox = TRUE)
