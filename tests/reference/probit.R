# Reference values for probit regressions and for average marginal effects of weighted respondents in
# tests/models/test_probit.py, of the people in categories.csv (made by categories.R).
# Rscript probit.R, in this folder; writes probit.json.
suppressMessages({library(sandwich); library(survey); library(numDeriv); library(jsonlite)})
people <- read.csv("categories.csv", stringsAsFactors = TRUE)
used <- people[complete.cases(people), ]
used$high <- as.integer(used$agree >= 4)
num <- as.numeric
tight <- glm.control(epsilon = 1e-15, maxit = 100)
formula <- high ~ leadership * trained + role

fit <- glm(formula, binomial("probit"), used, control = tight)
for (i in 1:3) fit <- glm(formula, binomial("probit"), used, control = tight, start = coef(fit))
null <- glm(high ~ 1, binomial("probit"), used, control = tight)
x <- model.matrix(fit); s <- summary(fit)$coefficients
kinds <- c("HC0", "HC1", "HC2", "HC3")
plain <- list(estimate = num(coef(fit)), std_error = num(s[, 2]), p_value = num(s[, 4]),
  log_likelihood = num(logLik(fit)), aic = AIC(fit), bic = BIC(fit), lr = 2 * num(logLik(fit) - logLik(null)))
for (kind in kinds) plain[[kind]] <- num(sqrt(diag(vcovHC(fit, type = kind))))
plain$CR1 <- num(sqrt(diag(vcovCL(fit, cluster = used$unit, type = "HC1"))))

# Effects: a number by a small step, a switch, and levels against the first; respondents count by their weights.
effects <- function(up, theta, v, w) {
  mean_at <- function(theta, data) weighted.mean(up(model.matrix(formula, data) %*% theta), w)
  at <- function(theta, driver, value) { d <- used; d[[driver]] <- value; mean_at(theta, d) }
  step <- function(theta) { h <- .004; Reduce(`+`, Map(function(i, k) k * (at(theta, "leadership", used$leadership + i * h) -
    at(theta, "leadership", used$leadership - i * h)) / h, 1:4, c(4/5, -1/5, 4/105, -1/280))) }
  l <- levels(used$role)
  all <- function(theta) c(step(theta), at(theta, "trained", 1) - at(theta, "trained", 0),
    sapply(l[-1], function(x) at(theta, "role", factor(x, l)) - at(theta, "role", factor(l[1], l))))
  j <- jacobian(all, theta)
  list(estimate = num(all(theta)), se = num(sqrt(diag(j %*% v %*% t(j)))))
}
weighted <- function(family, up) {
  design <- svydesign(~unit, weights = ~weight, data = used)
  again <- function(start) eval(bquote(svyglm(formula, design, family = family, start = .(start), control = tight)))
  fit <- again(NULL)
  for (i in 1:3) fit <- again(coef(fit))
  effects(up, coef(fit), vcov(fit), used$weight)
}
out <- list(glm = plain, effects = effects(pnorm, coef(fit), vcov(fit), rep(1, nrow(used))),
  weighted = list(linear = weighted(gaussian(), identity), logit = weighted(quasibinomial(), plogis),
                  probit = weighted(quasibinomial("probit"), pnorm)))
versions <- sapply(c("survey", "numDeriv", "sandwich"), function(p) as.character(packageVersion(p)))
out$versions <- as.list(c(R = paste(R.version$major, R.version$minor, sep = "."), versions))
write_json(out, "probit.json", digits = NA, auto_unbox = TRUE, pretty = 1)
