# Groups compared and tests of equivalence. Rscript comparisons.R, in this folder; writes comparisons.csv and .json.
suppressMessages({library(psych); library(emmeans); library(jsonlite)})
people <- psych::bfi[complete.cases(psych::bfi[, c("A2", "A3", "E3", "E4", "education", "age", "gender")]), ][1:600, ]
d <- data.frame(
  level = paste0("e", people$education), gender = ifelse(people$gender == 1, "man", "woman"), age = people$age,
  agree = (people$A2 + people$A3) / 2, social = (people$E3 + people$E4) / 2, high = as.integer(people$A2 >= 5)
)
write.csv(d, "comparisons.csv", row.names = FALSE)
out <- list()

# all groups
w <- oneway.test(agree ~ level, d); k <- kruskal.test(agree ~ factor(level), d)
out$welch <- list(f = w$statistic[[1]], df = w$parameter[[1]], rest = w$parameter[[2]], p = w$p.value)
out$kruskal <- list(h = k$statistic[[1]], df = k$parameter[[1]], p = k$p.value, epsilon = k$statistic[[1]] / (nrow(d) - 1))
root <- function(f, lo, hi) if (f(lo) * f(hi) > 0) 0 else uniroot(f, c(lo, hi), tol = 1e-12)$root
omega <- function(y, g) {  # sums of squares between groups, each group with its own variance; noncentral F with matched moments
  n <- as.vector(table(g)); m <- as.vector(tapply(y, g, mean)); v <- as.vector(tapply(y, g, var)); N <- sum(n); k <- length(n)
  p <- n / N; ss <- n * (m - mean(y))^2; within <- sum((n - 1) * v) / (N - k); chance <- sum((1 - p) * v)
  s4 <- v^2 * (n - 1) / (n + 1)
  noise <- sum(s4) - 2 * sum(p * s4) + sum(p * v)^2 - sum(p^2 * v^2) + sum(p^2 * s4); noise <- max(noise, chance^2 / (k - 1))
  above <- function(r) {
    weight <- (1 - p) + r * N * (n - 1) / (N - k); mean <- sum(weight * v); df <- chance^2 / noise
    spread <- 2 * noise + 4 * sum(ss * v) / sum(ss) * r * N * within; room <- mean^2 - spread * df / 2
    if (room > 0) away <- 2 * mean * (mean + sqrt(room)) / spread - df else { df <- 2 * mean^2 / spread; away <- 0 }
    pf(sum(ss) / mean * (df + away) / df, df, mean^2 / sum(weight^2 * v^2 / (n - 1)), away, lower.tail = FALSE)
  }
  ratio <- sapply(c(.025, .975), function(q) root(function(r) above(r) - q, 0, 5))
  c((sum(ss) - chance) / (sum(ss) - chance + N * within), ratio / (1 + ratio))
}
out$omega <- omega(d$age, d$level)
even <- do.call(rbind, lapply(split(d, d$level), head, 30))
table <- anova(lm(age ~ level, even)); ss <- table[["Sum Sq"]]; ms <- table[["Mean Sq"]][2]
out$anova <- (ss[1] - table$Df[1] * ms) / (sum(ss) + ms)
h <- out$kruskal
lambda <- sapply(c(.975, .025), function(q) root(function(l) pchisq(h$h, h$df, l) - q, 0, 200))
out$epsilon <- lambda / (nrow(d) - 1)

# two groups
x <- d$agree[d$level == "e3"]; y <- d$agree[d$level == "e5"]
t <- t.test(x, y)
out$pair <- list(estimate = unname(diff(rev(t$estimate))), se = t$stderr, df = t$parameter[[1]], p = t$p.value, ci = t$conf.int)
both <- data.frame(v = c(x, y), g = rep(1:0, c(length(x), length(y))))
out$cohen <- cohen.d(both, "g")$cohen.d[1, "effect"]
g <- function(x, y) {
  n <- length(x); m <- length(y); df <- n + m - 2; s <- sqrt(((n - 1) * var(x) + (m - 1) * var(y)) / df)
  d <- (mean(x) - mean(y)) / s; unit <- sqrt(1 / n + 1 / m)
  at <- function(q) uniroot(function(l) pt(d / unit, df, l) - q, c(-30, 30), tol = 1e-12)$root * unit
  c(gamma(df / 2) / gamma((df - 1) / 2) * sqrt(2 / df) * d, at(.975), at(.025))
}
small <- function(v) v[1:60]
out$g <- g(small(x), small(y)); out$d <- (mean(x) - mean(y)) / sqrt(((length(x) - 1) * var(x) + (length(y) - 1) * var(y)) / (length(x) + length(y) - 2))
cliff <- function(x, y) {
  s <- sign(outer(x, y, "-")); n <- length(x); m <- length(y); d <- mean(s); z <- qnorm(.975)
  v <- (m^2 * sum((rowMeans(s) - d)^2) + n^2 * sum((colMeans(s) - d)^2) - sum((s - d)^2)) / (n * m * (n - 1) * (m - 1))
  ends <- (d - d^3 + c(-1, 1) * z * sqrt(v) * sqrt((1 - d^2)^2 + z^2 * v)) / (1 - d^2 + z^2 * v)
  a <- var(rowMeans(s)) / n; b <- var(colMeans(s)) / m
  df <- (a + b)^2 / (a^2 / (n - 1) + b^2 / (m - 1)); bm <- d / sqrt(a + b)
  list(delta = d, ends = ends, se = sqrt(a + b), df = df, statistic = bm, p = 2 * pt(-abs(bm), df))
}
out$cliff <- cliff(x, y)
dealt <- function(x, y) {  # all ways to deal the answers into two groups
  n <- length(x); m <- length(y); all <- c(x, y); tail <- .025
  t <- function(i) {
    s <- sign(outer(all[i], all[-i], "-")); d <- mean(s)
    v <- (m^2 * sum((rowMeans(s) - d)^2) + n^2 * sum((colMeans(s) - d)^2) - sum((s - d)^2)) / (n * m * (n - 1) * (m - 1))
    if (abs(d) == 1) return(c(sign(d) * sqrt(n * m - 1), d, 0))
    v <- max(v, (1 - d^2) / (n * m - 1)); c(d * sqrt(1 - d^2) / sqrt(v), d, v)
  }
  own <- t(seq_len(n)); ts <- sort(round(combn(n + m, n, function(i) t(i)[1]), 9)); M <- length(ts); at <- round(own[1], 9)
  z <- c(rev(ts)[ceiling(tail * M)], ts[ceiling(tail * M)]); d <- own[2]; v <- own[3]
  ends <- (d - d^3 - z * sqrt(v) * sqrt((1 - d^2)^2 + z^2 * v)) / (1 - d^2 + z^2 * v)
  list(x = x, y = y, statistic = own[1], p = min(1, 2 * min(mean(ts >= at), mean(ts <= at))), ends = ends)
}
out$dealt <- list(dealt(x[1:7], y[11:18]), dealt(c(4, 4.5, 5, 5.5, 6, 3.5), c(2, 3, 4, 2.5, 1, 3.5, 3)))
bonett <- function(x, y) {
  s <- sqrt((var(x) + var(y)) / 2); d <- (mean(x) - mean(y)) / s; a <- length(x) - 1; b <- length(y) - 1
  v <- d^2 * (var(x)^2 / a + var(y)^2 / b) / (8 * s^4) + (var(x) / a + var(y) / b) / s^2
  d + c(0, -1, 1) * qnorm(.975) * sqrt(v)
}
out$average <- bonett(x, y)

# equivalence: two one-sided tests
tost <- function(..., b) c(t.test(..., mu = -b, alternative = "greater")$p.value, t.test(..., mu = b, alternative = "less")$p.value)
out$tost_groups <- list(p = tost(x, y, b = .3), narrow = t.test(x, y, conf.level = .9)$conf.int)
out$tost_pairs <- list(p = tost(d$agree, d$social, paired = TRUE, b = .3), narrow = t.test(d$agree, d$social, paired = TRUE, conf.level = .9)$conf.int)
one <- function(b, side) t.test(d$agree - 4.7, mu = b, alternative = side)$p.value
out$tost_value <- list(p = c(one(-.1, "greater"), one(.1, "less")), narrow = t.test(d$agree - 4.7, conf.level = .9)$conf.int)
r <- cor(d$agree, d$age); z <- function(b) (atanh(r) - atanh(b)) * sqrt(nrow(d) - 3)
out$tost_r <- list(r = r, p = c(pnorm(-z(-.15)), pnorm(z(.15))), wide = cor.test(d$agree, d$age)$conf.int, narrow = cor.test(d$agree, d$age, conf.level = .9)$conf.int)
p <- mean(d$high)
share <- prop.test(sum(d$high), nrow(d), correct = FALSE, p = .7)
out$share <- list(p = share$p.value, wide = share$conf.int - .7)
standard <- function(b) { n <- 60; tt <- (mean(small(x)) - mean(small(y))) / sqrt((var(small(x)) + var(small(y))) / 2) / sqrt(2 / n)
  max(1 - pt(tt, 2 * n - 2, -b / sqrt(2 / n)), pt(tt, 2 * n - 2, b / sqrt(2 / n))) }
out$tost_sd <- standard(.5)
out$margins <- lapply(list(c(30, 3), c(400, 200), c(85, 34)), function(v) c(v[1], v[2] / v[1], diff(prop.test(v[2], v[1], correct = FALSE)$conf.int) / 2))
# pairs in standard deviations: generalized p, integrated over the variances of differences and sums
pairs <- function(x, y) {
  n <- length(x); df <- n - 1; D <- mean(x - y); vd <- var(x - y); vs <- var(x + y); tol <- 1e-8
  above <- function(b) integrate(function(u) sapply(qchisq(u, df), function(a) integrate(function(w)
    pnorm((D - b * sqrt((df * vd / a + df * vs / qchisq(w, df)) / 4)) * sqrt(n * a / (df * vd))), 0, 1, rel.tol = tol)$value), 0, 1, rel.tol = tol)$value
  list(x = x, y = y, p = c(1 - above(-.5), above(.5)), zero = t.test(x, y, paired = TRUE)$p.value,
       wide = sapply(c(.975, .025), function(q) uniroot(function(b) above(b) - q, c(-3, 3), tol = 1e-8)$root))
}
out$tost_pairs_sd <- list(pairs(d$agree[1:10], d$social[1:10]), pairs(d$agree[101:125], d$social[101:125]))
# difference of shares: restricted likelihood maximized numerically
men <- d$high[d$gender == "man"]; women <- d$high[d$gender == "woman"]
score <- function(a, n, b, m, delta) {
  ll <- function(q) -(dbinom(a, n, q + delta, log = TRUE) + dbinom(b, m, q, log = TRUE))
  q <- optimize(ll, c(max(0, -delta) + 1e-9, min(1, 1 - delta) - 1e-9), tol = 1e-12)$minimum; p <- q + delta
  (a / n - b / m - delta) / sqrt((p * (1 - p) / n + q * (1 - q) / m) * (n + m) / (n + m - 1))
}
sm <- function(delta) score(sum(men), length(men), sum(women), length(women), delta)
ends <- function(level) sapply(c(1, -1) * qnorm((1 + level) / 2), function(z) uniroot(function(e) sm(e) - z, c(-.9, .9), tol = 1e-10)$root)
out$shares <- list(statistics = c(sm(-.1), sm(0), sm(.1)), wide = ends(.95), narrow = ends(.9))

# planned contrasts: one factor, and two
d$level <- factor(d$level); d$gender <- factor(d$gender)
weights <- list(c(-1, -1, -1, 1.5, 1.5) / 3, c(0, 0, 1, 0, -1))
fit <- lm(agree ~ level, d)
e <- as.data.frame(contrast(emmeans(fit, "level"), weights))
out$classical <- list(estimate = e$estimate, se = e$SE, df = e$df, p = e$p.value, holm = p.adjust(e$p.value, "holm"))
m <- tapply(d$agree, d$level, mean); v <- tapply(d$agree, d$level, var); n <- table(d$level)
out$own <- lapply(weights, function(w) { s <- w^2 * v / n; c(sum(w * m), sqrt(sum(s)), sum(s)^2 / sum(s^2 / (n - 1))) })
two <- lm(agree ~ level * gender, d)
grid <- emmeans(two, ~ level * gender)
factorial <- as.data.frame(contrast(grid, list(
  main = as.vector(outer(c(-1, -1, -1, 1.5, 1.5) / 3, c(.5, .5))), both = as.vector(outer(c(-1, 0, 0, 0, 1), c(1, -1))))))
out$factorial <- list(estimate = factorial$estimate, se = factorial$SE, df = factorial$df, p = factorial$p.value)
write_json(out, "comparisons.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
