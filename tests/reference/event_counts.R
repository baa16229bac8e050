# Reference values for regressions of counts, of the people in categories.csv (made by categories.R).
# Rscript event_counts.R, in this folder; writes event_counts.json.
suppressMessages({library(MASS); library(pscl); library(sandwich); library(survey); library(numDeriv); library(jsonlite)})
people <- read.csv("categories.csv", stringsAsFactors = TRUE)
used <- people[complete.cases(people), ]
errors <- function(fit) list(classical = unname(sqrt(diag(vcov(fit)))), HC0 = unname(sqrt(diag(sandwich(fit)))),
  CR1 = unname(sqrt(diag(vcovCL(fit, cluster = used$unit, type = "HC1")))))
formula <- posts ~ leadership + trained + role + offset(log(years))

fit <- glm(formula, poisson, used, control = glm.control(epsilon = 1e-14, maxit = 100))
mu <- fitted(fit); y <- used$posts; x <- model.matrix(fit)
gap <- (y == 0) - exp(-mu)                                   # zeros: the moment less what estimating takes away
part <- gap - as.vector((x * (y - mu)) %*% vcov(fit) %*% colSums(-exp(-mu) * mu * x))
poisson <- c(list(estimate = unname(coef(fit)), log_likelihood = as.numeric(logLik(fit)), aic = AIC(fit),
  lr = 2 * as.numeric(logLik(fit) - logLik(update(fit, . ~ offset(log(years))))),
  dispersion = sum((y - mu)^2 / mu) / df.residual(fit), dean = sum((y - mu)^2 - y) / sqrt(2 * sum(mu^2)),
  zeros = sum(gap) / sqrt(sum(part^2)), zero_share = c(mean(y == 0), mean(exp(-mu)))), errors(fit))
weighted <- svyglm(formula, svydesign(~unit, weights = ~weight, data = used), family = quasipoisson(), control = glm.control(epsilon = 1e-14, maxit = 100))
poisson$weighted <- list(estimate = unname(coef(weighted)), se = unname(sqrt(diag(vcov(weighted)))))

fit <- glm.nb(formula, used, control = glm.control(epsilon = 1e-14, maxit = 500))
for (i in 1:50) {                                            # glm.nb alternates; on to the joint maximum
  th <- theta.ml(used$posts, fitted(fit), nrow(used), limit = 500, eps = 1e-14)
  fit <- glm(formula, negative.binomial(as.numeric(th)), used, start = coef(fit), control = glm.control(epsilon = 1e-14, maxit = 500))
}
mu <- fitted(fit)
nb <- list(estimate = unname(coef(fit)), theta = as.numeric(th), se_theta = attr(th, "SE"),
  log_likelihood = sum(dnbinom(used$posts, size = as.numeric(th), mu = mu, log = TRUE)),
  classical = unname(sqrt(diag(summary(fit, dispersion = 1)$cov.scaled))))
bread <- summary(fit, dispersion = 1)$cov.scaled
score <- model.matrix(fit) * ((used$posts - mu) / (1 + mu / as.numeric(th)))
nb$HC0 <- unname(sqrt(diag(bread %*% crossprod(score) %*% bread)))
loose <- glm.nb(formula, used); nb$glm_nb <- unname(coef(loose)); nb$glm_nb_se <- unname(sqrt(diag(vcov(loose)))); nb$glm_nb_theta <- loose$theta

inflated <- function(dist) {
  fit <- zeroinfl(posts ~ leadership + trained + role + offset(log(years)) | readiness + trained, used, dist = dist,
                  control = zeroinfl.control(reltol = 1e-16, maxit = 20000, EM = FALSE))
  x <- model.matrix(fit, "count"); z <- model.matrix(fit, "zero"); off <- log(used$years); y <- used$posts
  each <- function(b) {
    mu <- exp(x %*% b[1:ncol(x)] + off); pi <- plogis(z %*% b[ncol(x) + 1:ncol(z)])
    f <- if (dist == "poisson") dpois(y, mu) else dnbinom(y, size = exp(b[length(b)]), mu = mu)
    as.vector(log((y == 0) * pi + (1 - pi) * f))
  }
  b <- c(coef(fit, "count"), coef(fit, "zero"), if (dist == "negbin") log(fit$theta))
  for (i in 1:4) b <- b - solve(hessian(function(t) sum(each(t)), b), grad(function(t) sum(each(t)), b))
  v <- solve(-hessian(function(t) sum(each(t)), b)); s <- jacobian(each, b)
  g <- length(unique(used$unit)); n <- length(y); q <- length(b)
  list(estimate = unname(b), zeroinfl = unname(c(coef(fit, "count"), coef(fit, "zero"))), log_likelihood = sum(each(b)),
    classical = unname(sqrt(diag(v))), zeroinfl_se = unname(sqrt(diag(vcov(fit)))),
    HC0 = unname(sqrt(diag(v %*% crossprod(s) %*% v))),
    CR1 = unname(sqrt(diag(v %*% crossprod(rowsum(s, used$unit)) %*% v * g / (g - 1) * (n - 1) / (n - q)))))
}
high <- glm(I(agree >= 4) ~ leadership + trained + role, binomial("probit"), used, control = glm.control(epsilon = 1e-15, maxit = 100))
probit <- c(list(estimate = unname(coef(high)), log_likelihood = as.numeric(logLik(high)), hat = unname(hatvalues(high)[1:5])), errors(high))
versions <- sapply(c("MASS", "pscl", "sandwich", "survey"), function(p) as.character(packageVersion(p)))
write_json(list(probit = probit, poisson = poisson, negative_binomial = nb, zero_inflated_poisson = inflated("poisson"),
  zero_inflated_negative_binomial = inflated("negbin"),
  versions = as.list(c(R = paste(R.version$major, R.version$minor, sep = "."), versions))),
  "event_counts.json", digits = NA, auto_unbox = TRUE, pretty = 1)
