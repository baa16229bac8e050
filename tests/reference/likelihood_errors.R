# Reference values for errors of ordinal, multinomial and count models: few clusters, surveys, proportional odds with robust
# errors, and zero-inflated models with a skewed driver. People of categories.csv; articles.csv is pscl's bioChemists.
# Rscript likelihood_errors.R, in this folder; writes articles.csv and likelihood_errors.json.
suppressMessages({library(MASS); library(clubSandwich); library(ordinal); library(pscl); library(survey); library(numDeriv); library(nnet); library(jsonlite)})
people <- read.csv("categories.csv", stringsAsFactors = TRUE)
used <- people[complete.cases(people), ]
used$small <- as.integer(factor(used$unit)) %% 7     # seven clusters
formula <- posts ~ leadership + trained + role + offset(log(years))
tight <- glm.control(epsilon = 1e-14, maxit = 500)

clubbed <- function(fit, cluster) {
  tested <- coef_test(fit, vcov = "CR2", cluster = cluster, test = "Satterthwaite")
  all <- Wald_test(fit, constraints = constrain_zero(2:3), vcov = "CR2", cluster = cluster, test = "HTZ")
  list(se = tested$SE, df = tested$df_Satt, p = tested$p_Satt, statistic = all$Fstat, df_denominator = all$df_denom, p_all = all$p_val)
}
poisson <- glm(posts ~ leadership + trained + offset(log(years)), poisson, used, control = tight)
th <- glm.nb(posts ~ leadership + trained + offset(log(years)), used)$theta
for (i in 1:50) {
  fit <- glm(posts ~ leadership + trained + offset(log(years)), negative.binomial(as.numeric(th)), used, control = tight)
  th <- theta.ml(used$posts, fitted(fit), nrow(used), limit = 500, eps = 1e-14)
}
fit <- glm(posts ~ leadership + trained + offset(log(years)), negative.binomial(as.numeric(th)), used, control = tight)
counted <- list(poisson = clubbed(poisson, used$unit), poisson_small = clubbed(poisson, used$small),
  negative_binomial = clubbed(fit, used$unit), negative_binomial_small = clubbed(fit, used$small))

# CR2 from scores and the expected information, by hand: the answers' chances are differentiated numerically.
by_hand <- function(chances, b, y, cluster, bread = NULL) {
  p <- chances(b); n <- nrow(p); k <- ncol(p)
  slopes <- array(jacobian(function(b) as.vector(chances(b)), b, method.args = list(eps = 1e-5)), c(n, k, length(b)))
  score <- t(sapply(1:n, function(i) slopes[i, y[i], ] / p[i, y[i]]))
  parts <- lapply(split(1:n, cluster), function(rows) Reduce(`+`, lapply(rows, function(i)
    crossprod(slopes[i, , ] / sqrt(p[i, ])))))
  total <- Reduce(`+`, parts)
  root <- function(m, power) { e <- eigen((m + t(m)) / 2, symmetric = TRUE); e$vectors %*% (pmax(e$values, 0)^power * t(e$vectors)) }
  out <- root(total, -.5)
  if (is.null(bread)) bread <- solve(total)
  back <- bread %*% root(total, .5)
  grams <- lapply(parts, function(m) out %*% m %*% out)
  adjust <- lapply(grams, function(m) root(diag(nrow(m)) - m, -.5))
  sums <- rowsum(score, cluster)
  each <- t(sapply(seq_along(parts), function(g) back %*% adjust[[g]] %*% out %*% sums[g, ]))
  v <- crossprod(each)
  df <- sapply(seq_along(b), function(j) {   # 2 E²/Var of the variance estimate, if the model is right
    a <- lapply(seq_along(parts), function(g) adjust[[g]] %*% back[j, ])
    s <- outer(seq_along(parts), seq_along(parts), Vectorize(function(g, h)
      (if (g == h) sum(a[[g]] * (grams[[g]] %*% a[[g]])) else 0) - sum((grams[[g]] %*% a[[g]]) * (grams[[h]] %*% a[[h]]))))
    sum(diag(s))^2 / sum(s^2)
  })
  list(se = sqrt(diag(v)), df = df)
}
used$y <- factor(used$agree, ordered = TRUE)
ordered_by_hand <- function(link, cluster) {
  fit <- clm(y ~ leadership + readiness + trained, data = used, link = link, control = clm.control(gradTol = 1e-12, maxIter = 200))
  x <- model.matrix(~ leadership + readiness + trained, used)[, -1]; m <- length(fit$alpha)
  curve <- if (link == "logit") plogis else pnorm
  chances <- function(b) { line <- as.vector(x %*% b[1:3]); below <- sapply(b[-(1:3)], function(a) curve(a - line)); cbind(below, 1) - cbind(0, below) }
  turn <- c(m + 1:3, 1:m)
  by_hand(chances, c(fit$beta, fit$alpha), used$agree, cluster, vcov(fit)[turn, turn])
}
choice <- multinom(tool ~ leadership + trained, used, trace = FALSE, reltol = 1e-16, maxit = 1000)
xm <- model.matrix(choice); b <- as.vector(t(coef(choice)))
chosen <- function(b) { e <- exp(cbind(0, xm %*% b[1:3], xm %*% b[4:6])); e / rowSums(e) }
y <- as.integer(factor(used$tool))
ll <- function(b) sum(log(chosen(b)[cbind(seq_along(y), y)]))
for (i in 1:4) b <- b - solve(hessian(ll, b), grad(ll, b))
scored <- list(logit = ordered_by_hand("logit", used$unit), probit = ordered_by_hand("probit", used$unit),
  logit_small = ordered_by_hand("logit", used$small), multinomial = by_hand(chosen, b, y, used$small))

# Proportional odds with HC0 and HC1 errors: one Newton step from equal slopes to free ones, by hand.
parallel <- function(link) {
  fit <- clm(y ~ leadership + trained, data = used, link = link, control = clm.control(gradTol = 1e-12, maxIter = 200))
  x <- model.matrix(~ leadership + trained, used)[, -1]; curve <- if (link == "logit") plogis else pnorm
  each <- function(b) {     # thresholds, common slopes, how much leadership's slopes at thresholds 2 to 4 differ
    below <- sapply(1:4, function(k) curve(b[k] - x %*% b[5:6] - x[, 1] * c(0, b[7:9])[k]))
    log((cbind(below, 1) - cbind(0, below))[cbind(seq_along(used$agree), used$agree)])
  }
  b <- c(fit$alpha, fit$beta, 0, 0, 0); s <- jacobian(each, b); v <- solve(-hessian(function(b) sum(each(b)), b))
  step <- as.vector(v %*% colSums(s))[7:9]; meat <- (v %*% crossprod(s) %*% v)[7:9, 7:9]
  wald <- sum(step * solve(meat, step)); n <- nrow(used)
  list(HC0 = pchisq(wald, 3, lower.tail = FALSE), HC1 = pchisq(wald * (n - 9) / n, 3, lower.tail = FALSE))
}
proportional <- list(logit = parallel("logit"), probit = parallel("probit"))

# Surveys: degrees of freedom are clusters less strata less slopes.
design <- svydesign(~unit, weights = ~weight, data = used)
m <- svyglm(formula, design, family = quasipoisson(), control = tight); table <- summary(m)$coefficients
o <- svyolr(y ~ leadership + readiness + trained, design)
weighted <- list(poisson = list(df = m$df.residual, p = unname(table[, 4]), low = unname(confint(m, ddf = m$df.residual)[, 1]),
    high = unname(confint(m, ddf = m$df.residual)[, 2])),
  ordinal = list(df = o$df.residual, p = unname(2 * pt(abs(coef(o)[1:3] / SE(o)[1:3]), o$df.residual, lower.tail = FALSE))))

# Zero-inflated models of bioChemists, polished by Newton steps.
articles <- bioChemists; articles$art <- as.integer(articles$art)
write.csv(articles, "articles.csv", row.names = FALSE, quote = FALSE)
inflated <- function(formula, dist) {
  fit <- zeroinfl(formula, articles, dist = dist, control = zeroinfl.control(reltol = 1e-15, maxit = 20000))
  x <- model.matrix(fit, "count"); z <- model.matrix(fit, "zero"); y <- articles$art
  ll <- function(b) {
    mu <- exp(x %*% b[1:ncol(x)]); pi <- plogis(z %*% b[ncol(x) + 1:ncol(z)])
    f <- if (dist == "poisson") dpois(y, mu) else dnbinom(y, size = exp(b[length(b)]), mu = mu)
    sum(log((y == 0) * pi + (1 - pi) * f))
  }
  b <- c(coef(fit, "count"), coef(fit, "zero"), if (dist == "negbin") log(fit$theta))
  for (i in 1:4) b <- b - solve(hessian(ll, b), grad(ll, b))
  list(estimate = unname(b), se = unname(sqrt(diag(solve(-hessian(ll, b))))), log_likelihood = ll(b))
}
zero <- list()
for (dist in c("poisson", "negbin")) zero[[dist]] <- list(ment = inflated(art ~ fem + kid5 + phd + ment | ment, dist),
  two = inflated(art ~ fem + kid5 + phd + ment | ment + phd, dist), all = inflated(art ~ fem + mar + kid5 + phd + ment, dist))

versions <- sapply(c("MASS", "clubSandwich", "ordinal", "pscl", "survey", "nnet"), function(p) as.character(packageVersion(p)))
write_json(list(counted = counted, scored = scored, proportional = proportional, weighted = weighted, zero = zero,
  versions = as.list(c(R = paste(R.version$major, R.version$minor, sep = "."), versions))),
  "likelihood_errors.json", digits = NA, auto_unbox = TRUE, pretty = 1)
