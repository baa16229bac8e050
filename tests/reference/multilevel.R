# Reference values for tests/models/nested/test_multilevels.py and tests/inference/regression/test_mixed.py: lme4, lmerTest, nlme, multilevel.
# Run in this folder: Rscript multilevel.R   (writes multilevel_*.csv and multilevel.json)
# lme4 stops where it cannot see the deviance change; `polished` goes on by Newton steps on Richardson derivatives.
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(numDeriv); library(jsonlite)})
data(bh1996, package = "multilevel")
write.csv(sleepstudy, "multilevel_sleep.csv", row.names = FALSE, quote = FALSE)
schools <- as.data.frame(nlme::MathAchieve)[, c("School", "Sex", "SES", "MathAch")]
write.csv(schools, "multilevel_schools.csv", row.names = FALSE, quote = FALSE)
army <- round(bh1996[, c("GRP", "HRS", "LEAD", "WBEING")], 3)
write.csv(army, "multilevel_army.csv", row.names = FALSE, quote = FALSE)
cows <- cbpp[rep(seq_len(nrow(cbpp)), cbpp$size), c("herd", "period")]
cows$sick <- unlist(lapply(seq_len(nrow(cbpp)), function(i) as.numeric(seq_len(cbpp$size[i]) <= cbpp$incidence[i])))
write.csv(cows, "multilevel_cows.csv", row.names = FALSE, quote = FALSE)
sleep <- read.csv("multilevel_sleep.csv"); schools <- read.csv("multilevel_schools.csv")
army <- read.csv("multilevel_army.csv"); cows <- read.csv("multilevel_cows.csv")
polished <- function(formula, data, reml) {
  fit <- suppressWarnings(lme4::lmer(formula, data, REML = reml, control = lmerControl(optimizer = "nloptwrap",
    calc.derivs = FALSE, optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-12))))
  parsed <- lFormula(formula, data, REML = reml)
  deviance_at <- do.call(mkLmerDevfun, parsed)
  theta <- getME(fit, "theta")
  for (i in 1:4) theta <- theta - solve(hessian(deviance_at, theta), grad(deviance_at, theta))
  value <- deviance_at(theta)
  out <- mkMerMod(environment(deviance_at), list(par = theta, fval = value, conv = 0, message = ""), parsed$reTrms, parsed$fr)
  out@call <- fit@call
  as_lmerModLmerTest(out)
}
explained <- function(fit, residual) {
  z <- model.matrix(fit)[, rownames(VarCorr(fit)[[1]]), drop = FALSE]
  fixed <- var(as.vector(model.matrix(fit) %*% fixef(fit)))
  random <- mean(rowSums((z %*% VarCorr(fit)[[1]]) * z))     # Johnson (2014)
  c(fixed, fixed + random) / (fixed + random + residual)
}
line <- function(formula, data, reml, smaller = NULL, asked = NULL) {
  fit <- polished(formula, data, reml)
  s <- coef(summary(fit))
  table <- as.data.frame(VarCorr(fit))
  modes <- ranef(fit, condVar = TRUE)[[1]]
  order <- order(rownames(modes))
  out <- list(estimate = unname(s[, 1]), std_error = unname(s[, 2]), df = unname(s[, 3]), p_value = unname(s[, 5]),
    sdcor = table$sdcor, log_likelihood = as.numeric(logLik(fit)), aic = AIC(fit), bic = BIC(fit),
    r_squared = explained(fit, sigma(fit)^2), singular = isSingular(fit),
    groups = rownames(modes)[order][1:4], modes = unname(as.matrix(modes[order[1:4], , drop = FALSE])),
    mode_errors = matrix(sqrt(apply(attr(modes, "postVar")[, , order[1:4], drop = FALSE], 3, diag)), 4, byrow = TRUE))
  if (!is.null(smaller)) {
    less <- if (inherits(smaller, "formula") && any(grepl("|", deparse(smaller), fixed = TRUE)))
      logLik(polished(smaller, data, reml)) else logLik(lm(smaller, data), REML = reml)
    out$statistic <- as.numeric(2 * (logLik(fit) - less))
  }
  if (!is.null(asked)) out$intervals <- asked(reml)
  out
}
intervals_of <- function(fixed, random, data) function(reml) {
  fit <- nlme::lme(fixed, data, random, method = if (reml) "REML" else "ML",
    control = nlme::lmeControl(msTol = 1e-12, tolerance = 1e-12, msMaxIter = 500, maxIter = 500))
  found <- nlme::intervals(fit, which = "var-cov")
  rbind(as.matrix(found$reStruct[[1]]), as.numeric(found$sigma))
}
# nlme takes second derivatives by plain differences, which for a correlation give one digit: Richardson's here
intervals_of_slope <- function(reml) {
  x <- cbind(1, sleep$Days); y <- sleep$Reaction; same <- outer(sleep$Subject, sleep$Subject, "==")
  deviance_at <- function(at) {
    d <- exp(at[1:2]); r <- tanh(at[3])
    v <- same * (x %*% (matrix(c(1, r, r, 1), 2) * outer(d, d)) %*% t(x)) + diag(exp(2 * at[4]), nrow(x))
    w <- solve(v); a <- t(x) %*% w %*% x; left <- y - x %*% solve(a, t(x) %*% w %*% y)
    as.numeric(determinant(v)$modulus + if (reml) determinant(a)$modulus else 0) + sum(left * (w %*% left))
  }
  s <- as.data.frame(VarCorr(polished(Reaction ~ Days + (Days | Subject), sleep, reml)))$sdcor
  at <- c(log(s[1:2]), atanh(s[3]), log(s[4]))
  reach <- qnorm(.975) * sqrt(diag(2 * solve(hessian(deviance_at, at))))
  ends <- cbind(at - reach, at, at + reach)
  rbind(exp(ends[1:2, ]), tanh(ends[3, ]), exp(ends[4, ]))
}
out <- list()
for (reml in c(TRUE, FALSE)) {
  method <- if (reml) "REML" else "ML"
  out[[paste0("sleep_level_", method)]] <- line(Reaction ~ Days + (1 | Subject), sleep, reml, Reaction ~ Days,
    intervals_of(Reaction ~ Days, ~ 1 | Subject, sleep))
  out[[paste0("sleep_slope_", method)]] <- line(Reaction ~ Days + (Days | Subject), sleep, reml,
    Reaction ~ Days + (1 | Subject), intervals_of_slope)
  out[[paste0("schools_slope_", method)]] <- line(MathAch ~ SES + Sex + (SES | School), schools, reml,
    MathAch ~ SES + Sex + (1 | School))
  out[[paste0("army_slope_", method)]] <- line(WBEING ~ HRS + LEAD + (LEAD | GRP), army, reml,
    WBEING ~ HRS + LEAD + (1 | GRP))
  out[[paste0("army_hours_", method)]] <- line(WBEING ~ HRS + LEAD + (HRS | GRP), army, reml)
}
yield <- lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)             # lme4's example of a variance of zero
s <- coef(summary(yield))
out$nothing <- list(batch = as.character(Dyestuff2$Batch), yield = Dyestuff2$Yield, estimate = s[, 1], std_error = s[, 2],
  df = s[, 3], sdcor = as.data.frame(VarCorr(yield))$sdcor, log_likelihood = as.numeric(logLik(yield)), singular = isSingular(yield))
out$icc <- list(
  army = c(multilevel::ICC1(aov(WBEING ~ as.factor(GRP), army)), multilevel::ICC2(aov(WBEING ~ as.factor(GRP), army))),
  schools = c(multilevel::ICC1(aov(MathAch ~ as.factor(School), schools)), multilevel::ICC2(aov(MathAch ~ as.factor(School), schools))))
# teams where the driver whose effect differs is at its mean; likeness of a driver; clustered against robust variance
at_mean <- function(formula, data) {
  modes <- ranef(polished(formula, data, TRUE), condVar = TRUE)[[1]]
  order <- order(rownames(modes))[1:4]
  list(groups = rownames(modes)[order], modes = modes[order, 1], mode_errors = sqrt(attr(modes, "postVar")[1, 1, order]))
}
schools$middle <- schools$SES - mean(schools$SES); army$middle <- army$LEAD - mean(army$LEAD)
out$at_mean <- list(schools_slope = at_mean(MathAch ~ middle + Sex + (middle | School), schools),
  army_slope = at_mean(WBEING ~ HRS + middle + (middle | GRP), army))
plain <- lm(WBEING ~ HRS + LEAD, army)
clustered <- clubSandwich::vcovCR(plain, cluster = army$GRP, type = "CR2")
out$nesting <- list(
  icc_1 = c(multilevel::ICC1(aov(HRS ~ as.factor(GRP), army)), multilevel::ICC1(aov(LEAD ~ as.factor(GRP), army))),
  icc_1_residual = multilevel::ICC1(aov(resid(plain) ~ as.factor(GRP), army)),
  ratio = unname(diag(as.matrix(clustered)) / diag(sandwich::vcovHC(plain, type = "HC2"))),
  df = clubSandwich::coef_test(plain, clustered, test = "Satterthwaite")$df)
logit <- function(formula, plain, data) {
  fit <- glmer(formula, data, binomial, nAGQ = 25, control = glmerControl(optimizer = "nloptwrap",
    optCtrl = list(xtol_abs = 1e-12, xtol_rel = 1e-14, ftol_abs = 1e-14, ftol_rel = 1e-16)))
  s <- coef(summary(fit)); modes <- ranef(fit, condVar = TRUE)[[1]]; order <- order(rownames(modes))
  list(estimate = unname(s[, 1]), std_error = unname(s[, 2]), deviation = as.data.frame(VarCorr(fit))$sdcor,
    log_likelihood = as.numeric(logLik(fit)), without = as.numeric(logLik(glm(plain, binomial, data))), aic = AIC(fit),
    bic = BIC(fit), r_squared = explained(fit, pi^2 / 3), groups = rownames(modes)[order][1:4], modes = modes[order, 1][1:4],
    mode_errors = sqrt(attr(modes, "postVar")[1, 1, order[1:4]]))
}
cows$period <- factor(cows$period)
out$cows <- logit(sick ~ period + (1 | herd), sick ~ period, cows)
army$well <- as.numeric(army$WBEING > 3)
out$army_logit <- logit(well ~ HRS + LEAD + (1 | GRP), well ~ HRS + LEAD, army)
write(toJSON(out, digits = 15, auto_unbox = TRUE), "multilevel.json")
