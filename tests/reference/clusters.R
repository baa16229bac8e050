# Reference values for tests/inference/regression/test_small_clusters.py and tests/models/regressions/test_regression.py: clubSandwich.
# Run in this folder: Rscript clusters.R   (writes clusters.csv and clusters.json; clubSandwich 0.5.8)
suppressPackageStartupMessages({library(clubSandwich); library(jsonlite)})
set.seed(20250601)
size <- c(sample(3:60, 12), pmin(1 + rpois(87, rexp(87, 1 / 9)), 80))
team <- rep(sprintf("team %02d", 1:99), size); n <- length(team)
effect <- setNames(rnorm(99, sd = .6), unique(team)); slope <- setNames(rnorm(99, sd = .2), unique(team))
climate <- setNames(round(rnorm(99, 3, .7), 2), unique(team))[team]
support <- round(rnorm(n, 3 + .3 * effect[team]), 2)
role <- sample(c("employee", "expert", "manager"), n, replace = TRUE, prob = c(.5, .3, .2))
trained <- as.integer(team %in% c("team 02", "team 07", "team 11"))
use <- round(1 + (.3 + slope[team]) * support + .2 * climate + effect[team] + .2 * (role == "expert") +
             rnorm(n, sd = .5 + .2 * abs(support - 3)), 3)
active <- rbinom(n, 1, plogis(-2 + .6 * support + effect[team]))
write.csv(data.frame(team, use, active, support, climate, role, trained), "clusters.csv", row.names = FALSE, quote = FALSE)
everybody <- read.csv("clusters.csv")
few <- everybody[everybody$team <= "team 12", ]

found <- function(fit, cluster, rows, contrast = NULL) {
  V <- vcovCR(fit, cluster = cluster, type = "CR2")
  tested <- coef_test(fit, vcov = V, test = "Satterthwaite"); ci <- conf_int(fit, vcov = V)
  keep <- match(rows, names(coef(fit)))
  joint <- Wald_test(fit, constrain_zero(keep[rows != "(Intercept)"]), vcov = V, test = "HTZ")
  out <- list(names = rows, estimate = tested$beta[keep], std_error = tested$SE[keep], df = tested$df[keep],
       p_value = tested$p_Satt[keep], conf_low = ci$CI_L[keep], conf_high = ci$CI_U[keep],
       covariance = as.matrix(V)[keep, keep], joint = c(joint$Fstat, joint$df_denom, joint$p_val))
  if (!is.null(contrast)) {
    l <- linear_contrast(fit, vcov = V, contrasts = contrast, test = "Satterthwaite")
    out$contrast <- c(l$Est, l$SE, l$df)
  }
  out
}
glm_exact <- function(formula, family, data) { # a second run, so that the weights too are those of the last step
  control <- glm.control(epsilon = 1e-14, maxit = 100)
  start <- coef(glm(formula, family, data, control = control))
  for (i in 1:5) start <- coef(glm(formula, family, data, control = control, start = start))
  eval(bquote(glm(.(formula), family, data, control = control, start = start)))
}
all <- c("(Intercept)", "support", "climate", "roleexpert", "rolemanager")
f <- use ~ support + climate + role; b <- active ~ support + climate + role
within <- c("support", "roleexpert", "rolemanager")
out <- list(
  many = found(lm(f, everybody), everybody$team, all, matrix(c(0, 1, -1, 0, 0), 1)),
  few = found(lm(f, few), few$team, all),
  trained = found(lm(use ~ support + trained, few), few$team, c("(Intercept)", "support", "trained")),
  fixed = found(lm(use ~ support + role + factor(team), few), few$team, within),
  logit_many = found(glm_exact(b, binomial, everybody), everybody$team, all, matrix(c(0, 1, -1, 0, 0), 1)),
  logit_few = found(glm_exact(b, binomial, few), few$team, all),
  logit_fixed = found(glm_exact(active ~ support + role + factor(team), binomial, few), few$team, within),
  poisson = found(glm_exact(round(exp(use / 4)) ~ support + climate + role, poisson, few), few$team, all),
  probit = found(glm_exact(b, binomial("probit"), few), few$team, all))
write_json(out, "clusters.json", digits = 16, auto_unbox = TRUE)
