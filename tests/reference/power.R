# Writes power.json: chances of finding an effect from R stats (power.t.test, power.prop.test, power.anova.test with
# their formulas evaluated at whole sizes; uniroot is not used, because its tolerance is about 1e-4), from noncentral
# distributions, and from integrate() for the correlation and the equivalence test. Run: Rscript tests/reference/power.R
library(jsonlite)
two_sided_t <- function(shift, df, alpha = .05) {
  cut <- qt(alpha / 2, df, lower.tail = FALSE)
  pt(cut, df, shift, lower.tail = FALSE) + pt(-cut, df, shift)
}
means <- lapply(list(c(10, .8), c(64, .5), c(200, .2), c(2, 3)), function(p)
  list(n = p[1], smallest = p[2], power = power.t.test(n = p[1], delta = p[2], sd = 1, strict = TRUE)$power))
paired <- lapply(list(c(10, .4, .6), c(40, .3, .7)), function(p)
  list(n = p[1], smallest = p[2], correlation = p[3], power = power.t.test(n = p[1], delta = p[2],
    sd = sqrt(2 * (1 - p[3])), type = "paired", strict = TRUE)$power))
welch <- function(n, m, s, d) {
  a <- s^2 / n; b <- s^2 / m
  two_sided_t(d / sqrt(a + b), (a + b)^2 / (a^2 / (n - 1) + b^2 / (m - 1)))
}
shares <- lapply(list(c(58, .5, .25), c(300, .1, .08), c(40, .3, -.2)), function(p)
  list(n = p[1], base = p[2], smallest = p[3],
       power = power.prop.test(n = p[1], p1 = p[2], p2 = p[2] + p[3], strict = TRUE)$power))
one_share <- function(n, p, d) {
  q <- p + d; cut <- qnorm(.975) * sqrt(p * (1 - p) / n); s <- sqrt(q * (1 - q) / n)
  pnorm((d - cut) / s) + pnorm((d + cut) / s, lower.tail = FALSE)
}
groups <- lapply(list(c(3, 20, .3), c(5, 12, .4)), function(p)
  list(groups = p[1], n = p[2], smallest = p[3], power = power.anova.test(groups = p[1], n = p[2],
    between.var = p[3]^2 * p[1] / (p[1] - 1), within.var = 1)$power))
coefficient <- function(f2, n, k) pf(qf(.05, 1, n - k - 1, lower.tail = FALSE), 1, n - k - 1, f2 * n, lower.tail = FALSE)
r_squared <- function(r2, n, k) pf(qf(.05, k, n - k - 1, lower.tail = FALSE), k, n - k - 1, r2 / (1 - r2) * n, lower.tail = FALSE)
correlation <- function(r, n) integrate(function(x) sapply(x, function(v)
  two_sided_t(r / sqrt(1 - r^2) * sqrt(v), n - 2) * dchisq(v, n - 1)), qchisq(1e-15, n - 1),
  qchisq(1e-15, n - 1, lower.tail = FALSE), rel.tol = 1e-11, subdivisions = 2000)$value
equivalence <- function(d, n) {
  se <- sqrt(2 / n); df <- 2 * n - 2; cut <- qt(.95, df)
  integrate(function(s) (2 * pnorm(d / se - cut * s) - 1) * dchisq(df * s^2, df) * 2 * df * s, 0, d / se / cut,
            rel.tol = 1e-11, subdivisions = 2000)$value
}
logit <- function(odds, n, p, r2 = 0) {
  shift <- abs(log(odds)) * sqrt(n * p * (1 - p) * (1 - r2)); cut <- qnorm(.975)
  pnorm(shift - cut) + pnorm(-shift - cut)
}
hsieh <- function(odds, p, power = .8) (qnorm(.975) + qnorm(power))^2 / (p * (1 - p) * log(odds)^2)
feldt <- function(a, n, k) 1 - (1 - a) * qf(c(.975, .025), n - 1, (n - 1) * (k - 1))
bonett <- function(a, k, width) 8 * k / (k - 1) * (qnorm(.975) / log((1 - a + width / 2) / (1 - a - width / 2)))^2 + 2
fpc <- NULL
if (requireNamespace("survey", quietly = TRUE)) {
  library(survey)
  y <- c(2, 3.5, 4, 3, 2.5, 5, 1)
  m <- svymean(~y, svydesign(ids = ~1, data = data.frame(y = y, N = 10), fpc = ~N))
  fpc <- list(y = y, population = 10, std_error = as.numeric(SE(m)))
}
out <- list(
  means = means, paired = paired, welch = list(n = c(20, 50), smallest = .6, sd = .9, power = welch(20, 50, .9, .6)),
  shares = shares, share = list(n = 100, base = .4, smallest = .12, power = one_share(100, .4, .12)), groups = groups,
  coefficient = list(n = 90, drivers = 5, smallest = .08, power = coefficient(.08, 90, 5)),
  r_squared = list(n = 90, drivers = 5, smallest = .12, power = r_squared(.12, 90, 5)),
  correlation = list(list(n = 30, smallest = .4, power = correlation(.4, 30)), list(n = 84, smallest = .3, power = correlation(.3, 84)),
                     list(n = 6, smallest = .8, power = correlation(.8, 6))),
  equivalence = list(list(n = 20, smallest = .5, power = equivalence(.5, 20)), list(n = 70, smallest = .5, power = equivalence(.5, 70))),
  logit = list(n = 190, odds_ratio = 1.5, share = .5, overlap = .2, power = logit(1.5, 190, .5, .2), needed = hsieh(1.5, .5)),
  alpha = list(alpha = .8, n = 120, items = 5, conf = feldt(.8, 120, 5), bonett = bonett(.8, 5, .1)),
  fpc = fpc)
write_json(out, "tests/reference/power.json", digits = I(16), auto_unbox = TRUE, pretty = TRUE)
