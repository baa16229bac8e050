# Reference values for tests/inference/test_survival.py, tests/models/timelines/test_durations.py and test_hazards.py.
# Run in this folder: Rscript survival.R   (writes survival_*.csv and survival.json; survival 3.5, clubSandwich)
suppressPackageStartupMessages({library(survival); library(clubSandwich); library(jsonlite)})
lung <- lung[complete.cases(lung[c("time", "status", "age", "sex", "ph.ecog", "inst")]), c("inst", "time", "status", "age", "sex", "ph.ecog")]
lung$event <- lung$status - 1; names(lung)[6] <- "ecog"; lung$status <- NULL
veteran <- veteran[c("trt", "celltype", "time", "status", "karno", "age")]
write.csv(lung, "survival_lung.csv", row.names = FALSE, quote = FALSE)
write.csv(veteran, "survival_veteran.csv", row.names = FALSE, quote = FALSE)
rats <- rats[c("litter", "rx", "time", "status", "sex")]; rats$sex <- as.character(rats$sex)
write.csv(rats, "survival_rats.csv", row.names = FALSE, quote = FALSE)
# weeks to adoption in 12 periods, teams alike, many ties
set.seed(11); n <- 600; team <- sprintf("t%02d", rep(1:30, each = 20)); support <- round(rnorm(n, 3, .8), 2)
trained <- rbinom(n, 1, .4); pull <- rnorm(30, 0, .4)[as.integer(factor(team))]
week <- rep(NA_real_, n); adopted <- rep(0, n)
for (w in 1:12) { open <- is.na(week); h <- 1 - exp(-exp(-3.2 + .05 * w + .35 * (support - 3) + .5 * trained + pull))
  hit <- open & runif(n) < h; week[hit] <- w; adopted[hit] <- 1; gone <- is.na(week) & runif(n) < .02; week[gone] <- w }
week[is.na(week)] <- 12
weeks <- data.frame(team, support, trained, week, adopted)
write.csv(weeks, "survival_weeks.csv", row.names = FALSE, quote = FALSE)

curve <- function(f) { s <- summary(f, censored = TRUE)
  list(time = f$time, n_risk = f$n.risk, events = f$n.event, survival = f$surv, std_error = s$std.err, low = f$lower, high = f$upper) }
middle <- function(f) unname(summary(f)$table[c("median", "0.95LCL", "0.95UCL")])
one <- survfit(Surv(time, event) ~ 1, lung, conf.type = "log-log")
by_sex <- survdiff(Surv(time, event) ~ sex, lung); by_cell <- survdiff(Surv(time, status) ~ celltype, veteran)
exact <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 60)
cox <- function(formula, data, ties, cluster = NULL) {
  fit <- coxph(formula, data, ties = ties, control = exact, x = TRUE)
  D <- residuals(fit, type = "score"); D <- if (is.matrix(D)) D else matrix(D)
  z <- cox.zph(fit)$table; dfb <- D %*% vcov(fit)
  group <- if (is.null(cluster)) seq_len(nrow(D)) else data[[cluster]]
  C <- rowsum(dfb, group)
  list(estimate = unname(coef(fit)), covariance = unname(vcov(fit)), loglik = fit$loglik,
       zph = unname(z[, "chisq"]), zph_df = unname(z[, "df"]), zph_p = unname(z[, "p"]), robust = unname(t(C) %*% C))
}
f <- Surv(week, adopted) ~ support + trained
long <- weeks[rep(seq_len(n), weeks$week), ]; long$period <- ave(long$week, rep(seq_len(n), weeks$week), FUN = seq_along)
long$y <- as.integer(long$period == long$week & long$adopted == 1)
stamps <- c(.1 + .2, .3, .5, .7, .1 + .6, 1, 2, 2, 3, 4); joined <- as.numeric(aeqSurv(Surv(stamps, rep(1, 10)))[, 1])
strict <- glm.control(epsilon = 1e-14, maxit = 100)
discrete <- function(link) { g <- glm(y ~ support + trained + factor(period), binomial(link), long, control = strict)
  V <- vcovCR(g, cluster = long$team, type = "CR2"); tested <- coef_test(g, vcov = V, test = "Satterthwaite")
  list(cr2 = unname(as.matrix(V)[2:3, 2:3]), cr2_df = tested$df[2:3], estimate = unname(coef(g)[2:3]), covariance = unname(vcov(g)[2:3, 2:3]), loglik = as.numeric(logLik(g))) }
write_json(list(
  joined = joined,
  lung = curve(one), lung_median = middle(one), 
  lung_sex = lapply(1:2, function(k) middle(survfit(Surv(time, event) ~ 1, lung[lung$sex == k, ], conf.type = "log-log"))),
  rank_sex = list(chisq = by_sex$chisq, expected = by_sex$exp), rank_cell = list(chisq = by_cell$chisq, expected = by_cell$exp),
  cox_lung = cox(Surv(time, event) ~ age + sex + ecog, lung, "efron", "inst"),
  cox_veteran = cox(Surv(time, status) ~ trt + celltype + karno + age, veteran, "efron"),
  cox_breslow = cox(Surv(time, status) ~ trt + karno, veteran, "breslow"),
  cox_weeks = cox(f, weeks, "efron", "team"), cox_rats = cox(Surv(time, status) ~ rx, rats, "efron", "litter"),
  logit = discrete("logit"), cloglog = discrete("cloglog")), "survival.json", digits = 16, auto_unbox = TRUE)
