# Reference values for tests/inference/regression/test_panels.py and tests/models/timelines/test_pilots.py.
# Run in this folder: Rscript pilots.R   (writes pilots.csv, pilots_series.csv, pilots_units.csv, pilots.json; clubSandwich, sandwich, lmtest)
suppressPackageStartupMessages({library(clubSandwich); library(sandwich); library(lmtest); library(jsonlite)})
set.seed(20261122)
G <- 8; T <- 5; unit <- sprintf("unit %d", 1:G)
size <- c(30, 12, 45, 18, 25, 60, 9, 22)
cells <- expand.grid(wave = 1:T, unit = unit, stringsAsFactors = FALSE)
cells$n <- pmax(4, size[match(cells$unit, unit)] + sample(-6:6, nrow(cells), TRUE))
level <- rnorm(G, 3, .4); drift <- c(0, .1, .05, .2, .15)
cells$piloted <- as.integer(cells$unit %in% unit[c(1, 4, 6)])
cells$start <- c("unit 1" = 3, "unit 4" = 4, "unit 6" = 3, "unit 2" = 4)[cells$unit]
cells$base <- level[match(cells$unit, unit)] + drift[cells$wave] + rnorm(nrow(cells), 0, .12) +
  .4 * cells$piloted * (cells$wave >= 3)
people <- cells[rep(seq_len(nrow(cells)), cells$n), ]
people$use <- round(people$base + rnorm(nrow(people), 0, .7), 2)
write.csv(people[c("unit", "wave", "piloted", "start", "use")], "pilots.csv", row.names = FALSE, quote = FALSE, na = "")

found <- function(fit, groups, keep) {
  V <- vcovCR(fit, cluster = groups, type = "CR2")
  tested <- coef_test(fit, vcov = V, test = "Satterthwaite"); ci <- conf_int(fit, vcov = V)
  k <- match(keep, names(coef(fit)))
  list(estimate = tested$beta[k], std_error = tested$SE[k], df = tested$df[k], p_value = tested$p_Satt[k],
       conf_low = ci$CI_L[k], conf_high = ci$CI_U[k], matrix = as.matrix(V)[k, k, drop = FALSE])
}
effect_of <- function(data, treated, since) {
  data$d <- as.numeric(data$unit %in% treated & data$wave >= since)
  unname(coef(lm(use ~ d + factor(unit) + factor(wave), data))["d"])
}
# the effect by its jackknife error, unit and wave effects taken as known
by_error <- function(data, treated, since) {
  data$d <- as.numeric(data$unit %in% treated & data$wave >= since)
  d <- resid(lm(d ~ factor(unit) + factor(wave), data)); y <- resid(lm(use ~ factor(unit) + factor(wave), data))
  b <- function(keep) sum(d[keep] * y[keep]) / sum(d[keep]^2)
  each <- sapply(unique(data$unit), function(u) b(data$unit != u)); whole <- b(rep(TRUE, nrow(data)))
  whole / sqrt(sum((each - whole)^2))
}
p_random <- function(data, treated, since) {
  seen <- by_error(data, treated, since)
  all <- apply(combn(sort(unique(data$unit)), length(treated)), 2, function(u) by_error(data, u, since))
  mean(abs(all) >= abs(seen) * (1 - 1e-10))
}
people$d <- people$piloted * (people$wave >= 3)
several <- lm(use ~ d + factor(unit) + factor(wave), people)
two <- people[people$wave %in% c(2, 3), ]
lean <- people[!(people$unit == "unit 5" & people$wave == 2), ]   # a unit missing in a wave
for (k in c(-2, 0, 1, 2)) people[[paste0("e", k + 2)]] <- people$piloted * (people$wave - 3 == k)
study <- lm(use ~ e0 + e2 + e3 + e4 + factor(unit) + factor(wave), people)
V <- vcovCR(study, cluster = people$unit, type = "CR2")

# different starts: effects by cohort and wave, averaged by respondents
late <- people; late$start[is.na(late$start)] <- 99
on <- late[late$wave >= late$start, ]; key <- sprintf("c%d_w%d", on$start, on$wave)
share <- table(key) / length(key)
for (k in names(share)) late[[k]] <- as.numeric(sprintf("c%d_w%d", late$start, late$wave) == k)
staggered <- lm(reformulate(c(names(share), "factor(unit)", "factor(wave)"), "use"), late)
contrast <- numeric(length(coef(staggered))); contrast[match(names(share), names(coef(staggered)))] <- share
W <- vcovCR(staggered, cluster = late$unit, type = "CR2")
average <- linear_contrast(staggered, vcov = W, contrasts = matrix(contrast, 1), test = "Satterthwaite", level = .95)
# group-time averages by hand (Callaway & Sant'Anna, never treated), on cell means of equal weight
mean_cells <- aggregate(use ~ unit + wave, late, mean)
mean_cells$start <- late$start[match(mean_cells$unit, late$unit)]
att <- function(g, t) { m <- function(s, w) mean(mean_cells$use[mean_cells$start == s & mean_cells$wave == w])
  (m(g, t) - m(g, g - 1)) - (m(99, t) - m(99, g - 1)) }
moments <- c(-3, -2, 0, 1, 2)
group_time <- sapply(moments, function(e) mean(unlist(lapply(c(3, 4), function(g) if (g + e >= 1 && g + e <= T) att(g, g + e)))))

# one series: segmented regression with Newey-West errors
t <- 1:24; level <- 40 + .5 * t + ifelse(t >= 14, 6 + .8 * (t - 14), 0)
series <- data.frame(month = t, logins = round(level + as.numeric(arima.sim(list(ar = .5), 24, sd = 2)), 2), people = 180)
write.csv(series, "pilots_series.csv", row.names = FALSE, quote = FALSE)
series$time <- series$month - 14; series$after <- as.numeric(series$time >= 0); series$turn <- series$time * series$after
seg <- lm(logins ~ time + after + turn, series)
lag <- floor(4 * (nrow(series) / 100)^(2 / 9))
NW <- NeweyWest(seg, lag = lag, prewhite = FALSE, adjust = TRUE)
bg <- bgtest(seg, order = 1)
ar <- nlme::gls(logins ~ time + after + turn, series, correlation = nlme::corAR1(), method = "REML",
                control = nlme::glsControl(tolerance = 1e-12, msTol = 1e-14))

# the same with months missing, and with means of unequal numbers of people
found_by <- function(f) list(estimate = unname(coef(f)), error = unname(sqrt(diag(vcov(f)))),
                             rho = unname(coef(f$modelStruct$corStruct, unconstrained = FALSE)))
strictly <- nlme::glsControl(tolerance = 1e-12, msTol = 1e-14, opt = "optim", optimMethod = "BFGS", maxIter = 500, msMaxIter = 500)
series$size <- c(rep(c(8, 12, 9), 5)[1:13], rep(c(400, 90, 250, 600), 3)[1:11]); series$root <- series$size^-.5
gaps <- series[!(series$month %in% c(5, 6, 7, 19)), ]
half <- series; half$logins <- half$logins + 3 * sin(half$month / 3); half$time <- half$time + ifelse(half$month %% 2 == 0, .25, 0); half$turn <- half$time * half$after
gapped <- nlme::gls(logins ~ time + after + turn, gaps, correlation = nlme::corCAR1(form = ~ time), method = "REML", control = strictly)
uneven <- nlme::gls(logins ~ time + after + turn, half, correlation = nlme::corCAR1(form = ~ time), method = "REML", control = strictly)
people_ar <- nlme::gls(logins ~ time + after + turn, series, correlation = nlme::corAR1(form = ~ time), method = "REML",
                       weights = nlme::varConstProp(form = ~ root), control = strictly)

# matching
u <- data.frame(unit = sprintf("u%02d", 1:40), size = round(exp(rnorm(40, 3.5, .5))), base = round(rnorm(40, 3, .4), 2))
u$piloted <- as.integer(plogis(-1.2 + 1.5 * (u$base - 3) + .6 * (log(u$size) - 3.5) + rnorm(40)) > .45)
write.csv(u, "pilots_units.csv", row.names = FALSE, quote = FALSE)
pooled <- Reduce(`+`, lapply(0:1, function(k) (sum(u$piloted == k) - 1) * cov(u[u$piloted == k, c("size", "base")]))) / (nrow(u) - 2)
smd <- function(v) (mean(u[u$piloted == 1, v]) - mean(u[u$piloted == 0, v])) / sqrt(pooled[v, v])
distance <- sapply(which(u$piloted == 1), function(i) mahalanobis(u[u$piloted == 0, c("size", "base")], unlist(u[i, c("size", "base")]), pooled))

write_json(list(
  several = found(several, people$unit, "d"), p_random = p_random(people, unit[c(1, 4, 6)], 3),
  two = found(lm(use ~ d + factor(unit) + factor(wave), two), two$unit, "d"), two_p_random = p_random(two, unit[c(1, 4, 6)], 3),
  lean = found(lm(use ~ d + factor(unit) + factor(wave), lean), lean$unit, "d"),
  study = found(study, people$unit, c("e0", "e2", "e3", "e4")),
  study_trend = Wald_test(study, constrain_zero("e0", coefs = coef(study)), vcov = V, test = "HTZ")$p_val,
  staggered = list(estimate = average$Est, std_error = average$SE, df = average$df, conf_low = average$CI_L, conf_high = average$CI_U),
  group_time = list(moments = moments, estimate = group_time),
  series = list(estimate = unname(coef(seg)), std_error = unname(sqrt(diag(NW))), lag = lag, ar_estimate = unname(coef(ar)),
                ar_error = unname(sqrt(diag(vcov(ar)))), rho = unname(coef(ar$modelStruct$corStruct, unconstrained = FALSE)),
                gapped = found_by(gapped), uneven = found_by(uneven), people = found_by(people_ar), size = series$size,
                bg = unname(bg$statistic), bg_p = unname(bg$p.value)),
  units = list(smd = c(smd("size"), smd("base")),
               ratio = c(var(u$size[u$piloted == 1]) / var(u$size[u$piloted == 0]), var(u$base[u$piloted == 1]) / var(u$base[u$piloted == 0])),
               distance = sqrt(distance))),
  "pilots.json", digits = 16, auto_unbox = TRUE)
