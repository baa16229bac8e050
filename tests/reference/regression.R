# Reference values for tests/models/regressions/test_regression.py and tests/inference/*: lm, glm, sandwich, car, lmtest, p.adjust, model.matrix.
# Run in this folder: Rscript regression.R   (writes regression.csv and regression.json)
suppressPackageStartupMessages({library(sandwich); library(lmtest); library(car); library(jsonlite)})
set.seed(20240501)
n <- 240
unit <- sample(sprintf("unit %02d", 1:12), n, replace = TRUE)
role <- sample(c("employee", "expert", "manager"), n, replace = TRUE, prob = c(.5, .3, .2))
site <- sample(c("north", "south"), n, replace = TRUE)
effect <- setNames(rnorm(12, sd = .4), sprintf("unit %02d", 1:12))
leadership <- round(rnorm(n, 3.4, .8) + effect[unit], 3)
readiness <- round(.4 * leadership + rnorm(n, 2, .7), 3)
tenure <- round(rexp(n, 1 / 6) + .5, 2)
adoption <- round(.5 + .35 * leadership + .3 * readiness + .2 * (role == "manager") + effect[unit] +
                  rnorm(n, sd = .3 + .2 * abs(leadership - 3)), 3)
active <- rbinom(n, 1, plogis(-4 + .7 * leadership + .5 * readiness))
people <- data.frame(adoption, active, leadership, readiness, tenure, unit, role, site)
people$readiness[sample(n, 9)] <- NA
write.csv(people, "regression.csv", row.names = FALSE, quote = FALSE, na = "")
people <- read.csv("regression.csv")

line <- function(fit) {
  family <- if (inherits(fit, "glm")) "logit" else "linear"
  out <- list(names = names(coef(fit)), estimate = unname(coef(fit)), classical = unname(sqrt(diag(vcov(fit)))),
              n = nobs(fit), df_residual = df.residual(fit), aic = AIC(fit), bic = BIC(fit),
              log_likelihood = as.numeric(logLik(fit)), hat = unname(hatvalues(fit)[1:5]), cook = max(cooks.distance(fit)),
              fitted = unname(fitted(fit)[1:5]))
  for (type in c("HC0", "HC1", "HC2", "HC3")) out[[type]] <- unname(sqrt(diag(vcovHC(fit, type = type))))
  out
}
linear <- lm(adoption ~ leadership + readiness + log(tenure) + role, people)
out <- line(linear)
s <- summary(linear)
out <- c(out, list(p_value = unname(s$coefficients[, 4]), conf = unname(confint(linear)), r_squared = s$r.squared,
  adj_r_squared = s$adj.r.squared, sigma = s$sigma, f = unname(s$fstatistic), vif = unname(vif(linear)[, 3]^2),
  vif_plain = unname(vif(lm(adoption ~ leadership + readiness + tenure, people))),
  bp = unname(bptest(linear)$p.value),
  wald = { w <- waldtest(linear, vcov = vcovHC(linear, type = "HC3")); c(w$F[2], w$`Pr(>F)`[2]) }))
used <- people[complete.cases(people[, c("adoption", "leadership", "readiness", "tenure", "role")]), ]
out$beta <- unname(c(coef(linear)["leadership"] * sd(used$leadership), coef(linear)["readiness"] * sd(used$readiness),
  coef(linear)["log(tenure)"] * sd(log(used$tenure))) / sd(used$adoption))
cl <- vcovCL(linear, cluster = used$unit, type = "HC1"); cl0 <- vcovCL(linear, cluster = used$unit, type = "HC0", cadjust = FALSE)
out$CR1 <- unname(sqrt(diag(cl))); out$CR0 <- unname(sqrt(diag(cl0)))
G <- length(unique(used$unit)); tested <- coeftest(linear, vcov = cl, df = G - 1)
out$CR1_p <- unname(tested[, 4]); out$CR1_conf <- unname(coefci(linear, vcov. = cl, df = G - 1)); out$n_groups <- G
logit <- glm(active ~ leadership + readiness + site, binomial, people, control = glm.control(epsilon = 1e-14, maxit = 50))
lg <- line(logit)
usedl <- people[complete.cases(people[, c("active", "leadership", "readiness", "site")]), ]
lg$CR1 <- unname(sqrt(diag(vcovCL(logit, cluster = usedl$unit, type = "HC1"))))
lg$p_value <- unname(summary(logit)$coefficients[, 4])
lg$conf <- unname(confint.default(logit)); lg$lr <- logit$null.deviance - logit$deviance; lg$vif <- unname(vif(logit))
none <- lm(adoption ~ 0 + leadership + readiness, people); sn <- summary(none)
through <- list(estimate = unname(coef(none)), r_squared = sn$r.squared, adj_r_squared = sn$adj.r.squared, f = unname(sn$fstatistic))

# Coding of factors: column sums and a checksum of every column of model.matrix, and the order of terms.
formulas <- c("~ role", "~ role * site", "~ 0 + role + site", "~ 0 + leadership + role + site", "~ leadership:role",
  "~ role + role:site", "~ leadership * role", "~ role:leadership + role + leadership", "~ 0 + role:site",
  "~ (leadership + tenure + role)^2 - leadership:tenure", "~ site + site:tenure", "~ 0 + leadership:site",
  "~ leadership + role:site + role", "~ scale(tenure) + log1p(tenure) + sqrt(tenure)")
matrices <- lapply(formulas, function(text) {
  m <- model.matrix(as.formula(text), people)
  list(formula = text, terms = attr(terms(as.formula(text)), "term.labels"), columns = ncol(m),
       sums = unname(colSums(m)), checks = unname(colSums(m * seq_len(nrow(m)) / nrow(m))))
})
p <- c(.001, .8, .04, .03, .012, .04, .5, .0004)
adjusted <- list(p = p, holm = p.adjust(p, "holm"), benjamini_hochberg = p.adjust(p, "BH"))
write_json(list(linear = out, logit = lg, through_origin = through, matrices = matrices, adjusted = adjusted,
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), sandwich = as.character(packageVersion("sandwich")),
                  car = as.character(packageVersion("car")), lmtest = as.character(packageVersion("lmtest")))),
  "regression.json", digits = NA, auto_unbox = TRUE, pretty = 1)
