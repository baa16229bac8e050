# Reference values for tests/inference/test_incomplete.py, test_imputation.py and tests/survey/test_missing.py.
# Saturated moments with gaps: lavaan; Little's statistic from them in plain R; distribution of imputations: mice (pmm).
# Run in this folder: Rscript missing.R   (writes missing_*.csv and missing.json)
suppressPackageStartupMessages({library(mice); library(lavaan); library(jsonlite)})
moments <- function(data) {
  model <- paste(outer(names(data), names(data), function(a, b) paste(a, "~~", b))[lower.tri(diag(ncol(data)), TRUE)],
                 collapse = "\n")
  fit <- sem(model, data, missing = "ml", meanstructure = TRUE, fixed.x = FALSE,
             em.h1.iter.max = 5000, em.h1.tol = 1e-13)
  h1 <- lavInspect(fit, "sampstat.h1")
  list(mean = as.numeric(h1$mean[names(data)]), covariance = unclass(h1$cov[names(data), names(data)]))
}
little <- function(data) {
  est <- moments(data)
  data <- data[rowSums(!is.na(data)) > 0, ]
  pattern <- apply(is.na(data), 1, paste, collapse = "")
  d2 <- 0; seen_total <- 0
  for (part in split(data, pattern)) {
    seen <- which(!is.na(part[1, ]))
    gap <- colMeans(part)[seen] - est$mean[seen]
    d2 <- d2 + nrow(part) * drop(gap %*% solve(est$covariance[seen, seen]) %*% gap)
    seen_total <- seen_total + length(seen)
  }
  df <- seen_total - ncol(data)
  list(mean = est$mean, covariance = est$covariance, statistic = d2, df = df, n_patterns = length(unique(pattern)),
       p_value = pchisq(d2, df, lower.tail = FALSE))
}
air <- airquality
names(air) <- c("ozone", "solar", "wind", "temp", "month", "day")
write.csv(air, "missing_air.csv", row.names = FALSE, quote = FALSE, na = "")
items <- read.csv("bfi.csv")[, c("A1", "A2", "A3", "A4", "A5", "C1", "C2", "C3")]

# planted: the gaps of A2 and A3 hang on A5 and C1 (missing at random); imputed 200 times by mice
set.seed(7)
whole <- na.omit(items)
n <- nrow(whole)
planted <- whole
planted$A2[runif(n) < plogis(-2 + .7 * (whole$A5 - 3))] <- NA
planted$A3[runif(n) < plogis(-1.5 + .6 * (whole$C1 - 4))] <- NA
write.csv(planted, "missing_planted.csv", row.names = FALSE, quote = FALSE, na = "")
spread <- function(data, m, formula, means) {
  imp <- mice(data, m = m, maxit = 10, method = "pmm", seed = 11, printFlag = FALSE)
  sets <- complete(imp, "all")
  one <- function(Q, U) list(estimate = mean(Q), within = mean(U), between = var(Q))
  coefs <- lapply(seq_along(all.vars(formula)), function(j) one(sapply(sets, function(d) coef(lm(formula, d))[j]),
    sapply(sets, function(d) vcov(lm(formula, d))[j, j])))
  avg <- lapply(means, function(v) one(sapply(sets, function(d) mean(d[[v]])),
    sapply(sets, function(d) var(d[[v]]) / nrow(d))))
  list(m = m, coefficients = coefs, means = setNames(avg, means))
}
write.csv(nhanes, "missing_nhanes.csv", row.names = FALSE, quote = FALSE, na = "")
write_json(list(
  air = little(air), items = little(items),
  planted = spread(planted, 200, A1 ~ A2 + A3, c("A2", "A3")),
  nhanes = spread(nhanes, 200, chl ~ bmi + age, c("chl", "bmi")),
  versions = list(R = R.version.string, mice = as.character(packageVersion("mice")),
                  lavaan = as.character(packageVersion("lavaan")))
), "missing.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
