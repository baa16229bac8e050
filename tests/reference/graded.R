# Reference values for inference/psychometrics/graded.py, inference/regression/ordinal_logit.py and scales/functioning.py.
# Rscript tests/reference/graded.R   (needs psych, numDeriv, MASS, ordinal, jsonlite; run from the repository root)
# Writes graded.json, and graded_functioning.csv: five items of two groups, of which q2 is harder and q4 duller in b.
suppressPackageStartupMessages({library(jsonlite); library(numDeriv)})
here <- "tests/reference"

# The marginal likelihood in plain R: midpoint rule on a finer and wider grid than the package uses.
nodes <- seq(-8, 8, by = 0.05)
prior <- dnorm(nodes); prior <- prior / sum(prior)
minus_log_likelihood <- function(theta, items, k) {
  total <- matrix(0, nrow(items), length(nodes))
  at <- 0
  for (j in seq_along(k)) {
    slope <- theta[at + 1]; cuts <- theta[at + 1 + seq_len(k[j] - 1)]; at <- at + k[j]
    if (any(diff(cuts) >= 0)) return(1e10)
    reached <- rbind(1, plogis(outer(cuts, slope * nodes, "+")), 0)
    logs <- log(reached[1:k[j], , drop = FALSE] - reached[2:(k[j] + 1), , drop = FALSE])
    seen <- !is.na(items[[j]])
    total[seen, ] <- total[seen, ] + logs[items[[j]][seen], ]
  }
  -sum(log(exp(total) %*% prior))
}
fit <- function(items) {
  k <- sapply(items, max, na.rm = TRUE)
  start <- unlist(lapply(seq_along(k), function(j) {
    share <- sapply(2:k[j], function(c) mean(items[[j]] >= c, na.rm = TRUE)); c(1, 1.2 * qlogis(share)) }))
  theta <- optim(start, minus_log_likelihood, items = items, k = k, method = "BFGS",
                 control = list(maxit = 500, reltol = 1e-12))$par
  for (step in 1:2) {
    information <- hessian(minus_log_likelihood, theta, items = items, k = k)
    theta <- theta - solve(information, grad(minus_log_likelihood, theta, items = items, k = k))
  }
  list(parameters = unname(theta), categories = unname(k), errors = sqrt(diag(solve(information))),
       gradient = max(abs(grad(minus_log_likelihood, theta, items = items, k = k))),
       log_likelihood = -minus_log_likelihood(theta, items, k))
}
bfi <- read.csv(file.path(here, "bfi.csv"))
neuroticism <- bfi[paste0("N", c(1, 2, 3, 5))]
lsat <- as.data.frame(psych::lsat6) + 1

# Published: Rizopoulos (2006), J. Statistical Software 17(5), summary(ltm(LSAT ~ z1)): 21 Gauss-Hermite points.
published <- list(log_likelihood = -2466.653,
  thresholds = c(-3.3597, -1.3696, -0.2799, -1.8659, -3.1236), slopes = c(0.8254, 0.7229, 0.8905, 0.6886, 0.6575),
  threshold_errors = c(0.8669, 0.3073, 0.0997, 0.4341, 0.8700), slope_errors = c(0.2581, 0.1867, 0.2326, 0.1852, 0.2100))

# Ordinal regression.
set.seed(20)
n <- 800
group <- rep(c("a", "b"), each = n / 2)
attitude <- rnorm(n) + 0.3 * (group == "b")
slopes <- c(1.5, 1.5, 2, 1.8, 1.2)
answers <- as.data.frame(sapply(1:5, function(j) {
  slope <- slopes[j] * ifelse(j == 4 & group == "b", 0.3, 1)
  line <- slope * attitude - ifelse(j == 2 & group == "b", 1.3, 0) + rlogis(n)
  findInterval(line, c(-2, -0.5, 0.7, 2)) + 1 }))
names(answers) <- paste0("q", 1:5)
answers$q1[seq(7, n, 50)] <- NA
planted <- cbind(group, answers)
write.csv(planted, file.path(here, "graded_functioning.csv"), row.names = FALSE, na = "", quote = FALSE)
match <- rowMeans(planted[c("q3", "q5")])
in_b <- as.numeric(group == "b")
regressions <- lapply(c(q1 = "q1", q2 = "q2", q4 = "q4"), function(item) {
  used <- data.frame(y = factor(planted[[item]]), match, in_b)
  models <- list(y ~ 1, y ~ match, y ~ match + in_b, y ~ match * in_b)
  clm <- lapply(models, ordinal::clm, data = used, control = ordinal::clm.control(gradTol = 1e-10))
  polr <- lapply(models, MASS::polr, data = used)
  stopifnot(max(abs(sapply(clm, logLik) - sapply(polr, logLik))) < 1e-5)
  full <- clm[[4]]
  list(log_likelihoods = sapply(clm, function(m) as.numeric(logLik(m))), n = full$nobs,
       coefficients = unname(full$beta), thresholds = unname(full$alpha),
       errors = unname(sqrt(diag(vcov(full)))[c(names(full$beta), names(full$alpha))]))
})
write_json(list(neuroticism = fit(neuroticism), lsat = fit(lsat), published = published,
                lsat_patterns = unname(as.matrix(aggregate(n ~ ., cbind(lsat - 1, n = 1), sum))),
                regressions = regressions), file.path(here, "graded.json"), digits = 12, auto_unbox = TRUE)
