# Reference values for tests/models/mechanisms/test_mediations.py and tests/inference/regression/test_pathways.py.
# Data: mediation_media.csv (psych::Tal_Or), mediation_protest.csv (psych::Garcia), mediation_jobs.csv (mediation::jobs).
# Every resample is a loop of lm(); draws come from a generator that the tests repeat. lavaan: maximum likelihood.
# Sensitivity: formulas of Imai, Keele & Yamamoto (2010), theorem 4, with lm().
# Run in this folder: Rscript mediation.R   (writes mediation.json)
suppressPackageStartupMessages({library(lavaan); library(jsonlite)})
media <- read.csv("mediation_media.csv"); protest <- read.csv("mediation_protest.csv"); jobs <- read.csv("mediation_jobs.csv")

draw <- local({state <- 12345; function(n) {
  rows <- numeric(n)
  for (i in 1:n) {state <<- (69069 * state + 1) %% 2^32; rows[i] <- floor(n * state / 2^32) + 1}
  rows}})
resample <- function(data, statistic, times) {
  t(sapply(1:times, function(i) statistic(data[draw(nrow(data)), ])))
}
slope <- function(formula, data, name) unname(coef(lm(formula, data))[name])

simple <- function(d) {
  a <- slope(job_seek ~ treat + econ_hard + sex + age, d, "treat")
  y <- coef(lm(depress2 ~ treat + job_seek + econ_hard + sex + age, d))
  unname(c(slope(depress2 ~ treat + econ_hard + sex + age, d, "treat"), y["treat"], a * y["job_seek"]))
}
parallel <- function(d) {
  a <- c(slope(pmi ~ cond, d, "cond"), slope(importance ~ cond, d, "cond"))
  y <- coef(lm(reaction ~ cond + pmi + importance, d))
  ways <- unname(a * y[c("pmi", "importance")])
  c(slope(reaction ~ cond, d, "cond"), unname(y["cond"]), ways, sum(ways), ways[1] - ways[2])
}
serial <- function(d) {
  a1 <- slope(importance ~ cond, d, "cond")
  m2 <- coef(lm(pmi ~ cond + importance, d)); y <- coef(lm(reaction ~ cond + importance + pmi, d))
  ways <- unname(c(a1 * y["importance"], m2["cond"] * y["pmi"], a1 * m2["importance"] * y["pmi"]))
  c(slope(reaction ~ cond, d, "cond"), unname(y["cond"]), ways, sum(ways))
}
w <- mean(protest$sexism) + c(-1, 0, 1) * sd(protest$sexism)
moderated <- function(first, second, direct) function(d) {
  m <- coef(lm(if (first) respappr ~ prot2 * sexism else respappr ~ prot2, d))
  y <- coef(lm(as.formula(paste("liking ~ prot2 + respappr", if (second || direct) "+ sexism",
                                if (direct) "+ prot2:sexism", if (second) "+ respappr:sexism")), d))
  get <- function(b, name) if (name %in% names(b)) unname(b[name]) else 0
  a <- get(m, "prot2") + w * get(m, "prot2:sexism")
  b <- get(y, "respappr") + w * get(y, "respappr:sexism")
  c <- get(y, "prot2") + w * get(y, "prot2:sexism")
  index <- if (first && second) a[3] * b[3] - a[1] * b[1] else
    get(m, "prot2:sexism") * get(y, "respappr") + get(m, "prot2") * get(y, "respappr:sexism")
  c(if (direct) c else c[1], a * b, index)
}
models <- list(`7` = moderated(TRUE, FALSE, FALSE), `8` = moderated(TRUE, FALSE, TRUE), `14` = moderated(FALSE, TRUE, FALSE),
               `15` = moderated(FALSE, TRUE, TRUE), `58` = moderated(TRUE, TRUE, FALSE), `59` = moderated(TRUE, TRUE, TRUE))
cases <- list(simple = list(estimate = simple(jobs), draws = resample(jobs, simple, 25)),
              parallel = list(estimate = parallel(media), draws = resample(media, parallel, 200)),
              serial = list(estimate = serial(media), draws = resample(media, serial, 25)))
for (name in names(models)) cases[[name]] <- list(estimate = models[[name]](protest), draws = resample(protest, models[[name]], 25))
cases$parallel$percentile <- apply(cases$parallel$draws, 2, quantile, c(.025, .975))

ml <- sem("job_seek ~ a * treat + econ_hard + sex + age
           depress2 ~ c * treat + b * job_seek + econ_hard + sex + age
           indirect := a * b", jobs)
sobel <- subset(parameterEstimates(ml), label == "indirect")

mediator <- lm(job_seek ~ treat + econ_hard + sex + age, jobs)
reduced <- lm(depress2 ~ treat + econ_hard + sex + age, jobs)
full <- lm(depress2 ~ treat + job_seek + econ_hard + sex + age, jobs)
zero <- cor(resid(reduced), resid(mediator))
at <- c(-.9, -.5, -.2, 0, .2, .5, .9)
acme <- unname(coef(mediator)["treat"]) * sd(resid(reduced)) / sd(resid(mediator)) * (zero - at * sqrt((1 - zero^2) / (1 - at^2)))
left <- c(1 - summary(mediator)$r.squared, 1 - summary(full)$r.squared)

write_json(list(cases = cases, lavaan = list(indirect = sobel$est, std_error = sobel$se),
  sensitivity = list(rho = zero, at = at, acme = acme, r2_residual = zero^2, r2_total = zero^2 * prod(left))),
  "mediation.json", digits = 17, auto_unbox = TRUE)
