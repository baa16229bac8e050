# Reference values for tests/inference/test_pooling.py and tests/models/test_pooled.py: mice::pool, pool.scalar, D1 on given imputations.
# Run in this folder: Rscript pooling.R   (writes pooling.csv and pooling.json)
suppressPackageStartupMessages({library(mice); library(sandwich); library(jsonlite)})
set.seed(20240601)
n <- 120
unit <- sample(sprintf("unit %d", 1:10), n, replace = TRUE)
x <- round(rnorm(n, 3, 1), 2)
z <- round(.5 * x + rnorm(n, 1.5, .8), 2)
y <- round(.4 * x + .3 * z + rnorm(n, 1, .7), 2)
active <- rbinom(n, 1, plogis(-3 + .6 * x + .4 * z))
people <- data.frame(y, x, z, active)
people$z[runif(n) < plogis(-2.5 + .5 * x)] <- NA
people$y[runif(n) < .15] <- NA
imp <- mice(people, m = 5, method = "pmm", seed = 3, printFlag = FALSE)
small <- mice(nhanes, m = 5, method = "pmm", seed = 1, printFlag = FALSE)
stacked <- complete(imp, "long", include = TRUE)
write.csv(cbind(stacked[, c(".imp", ".id")], unit = rep(unit, 6), stacked[, c("y", "x", "z", "active")]), "pooling.csv",
          row.names = FALSE, quote = FALSE, na = "")
write.csv(complete(small, "long", include = TRUE), "pooling_nhanes.csv", row.names = FALSE, quote = FALSE, na = "")

numbers <- function(fits) {
  p <- pool(fits)$pooled
  list(term = as.character(p$term), estimate = p$estimate, std_error = sqrt(p$t), within = p$ubar, between = p$b,
       df = p$df, riv = p$riv, lambda = p$lambda, fmi = p$fmi, dfcom = p$dfcom)
}
wald <- function(fits) as.list(setNames(D1(fits)$result[1, 1:5], c("statistic", "df", "df_residual", "p_value", "riv")))
scalar <- function(Q, U, dfcom) {
  p <- pool.scalar(Q, U, n = dfcom + 1, k = 1)
  list(estimate = p$qbar, std_error = sqrt(p$t), df = p$df, riv = p$r, fmi = p$fmi)
}
data <- complete(imp, "all")
linear <- with(imp, lm(y ~ x + z))
logit <- with(imp, glm(active ~ x + z, family = binomial, epsilon = 1e-300))
hc3 <- lapply(1:3, function(j) scalar(sapply(data, function(d) coef(lm(y ~ x + z, d))[j]),
  sapply(data, function(d) vcovHC(lm(y ~ x + z, d), "HC3")[j, j]), n - 3))
cr1 <- lapply(1:3, function(j) scalar(sapply(data, function(d) coef(lm(y ~ x + z, d))[j]),
  sapply(data, function(d) vcovCL(lm(y ~ x + z, d), cluster = unit, type = "HC1")[j, j]), 9))
means <- lapply(c("y", "x", "z"), function(v) scalar(sapply(data, function(d) mean(d[[v]])),
  sapply(data, function(d) var(d[[v]]) / n), n - 1))
fisher <- scalar(sapply(data, function(d) atanh(cor(d$y, d$z))), rep(1 / (n - 3), 5), Inf)
write_json(list(
  nhanes = numbers(with(small, lm(chl ~ bmi + age))), nhanes_wald = wald(with(small, lm(chl ~ bmi + age))),
  linear = numbers(linear), linear_wald = wald(linear), logit = numbers(logit), hc3 = hc3, cr1 = cr1, means = means,
  fisher = fisher, versions = list(R = R.version.string, mice = as.character(packageVersion("mice")),
                                   mitml = as.character(packageVersion("mitml")))
), "pooling.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
