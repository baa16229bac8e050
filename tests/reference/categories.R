# Reference values for ordinal and multinomial regression, and the people of effects.R and event_counts.R.
# Rscript categories.R, in this folder; writes categories.csv and categories.json.
suppressMessages({library(MASS); library(ordinal); library(nnet); library(sandwich); library(survey); library(jsonlite)})
set.seed(5)
n <- 420
people <- data.frame(unit = sprintf("u%02d", sample(14, n, TRUE)), role = sample(c("clerk", "expert", "manager"), n, TRUE, c(.5, .3, .2)),
  leadership = round(pmin(5, pmax(1, rnorm(n, 3.2, .8))), 1), readiness = round(runif(n, 1, 5), 1),
  tenure = round(exp(rnorm(n, 1.3, .7)), 1) + .1, trained = rbinom(n, 1, .4), years = round(runif(n, .2, 2), 1))
shift <- rnorm(14, 0, .4)[as.integer(factor(people$unit))]
line <- .6 * people$leadership + .3 * people$readiness + .4 * people$trained - .3 * log(people$tenure) +
  .5 * (people$role == "manager") + shift
people$agree <- cut(line + rlogis(n), c(-Inf, 1.2, 2.2, 3.4, 4.6, Inf), labels = FALSE)
drawn <- function(l) which.max(l + -log(-log(runif(3))))
people$tool <- c("chat", "forum", "wiki")[apply(cbind(0, -1.4 + .5 * people$leadership - .4 * people$trained,
  -.9 + .25 * people$readiness + .3 * (people$role == "expert")), 1, drawn)]
rate <- people$years * exp(-.6 + .35 * people$leadership + .3 * people$trained - .2 * (people$role == "clerk"))
people$posts <- ifelse(runif(n) < plogis(-1.2 - .3 * people$trained + .2 * (5 - people$readiness)), 0, rnbinom(n, size = 1.8, mu = rate))
people$weight <- round(runif(n, .5, 2.5), 2)
people$readiness[sample(n, 8)] <- NA
write.csv(people, "categories.csv", row.names = FALSE, quote = FALSE, na = "")
people <- read.csv("categories.csv", stringsAsFactors = TRUE)
used <- people[complete.cases(people), ]
used$y <- factor(used$agree, ordered = TRUE)
tight <- clm.control(gradTol = 1e-12, maxIter = 200)

terms <- c("leadership", "readiness", "trained", "log(tenure)", "role")
one <- function(formula, link) {
  fit <- clm(formula, data = used, link = link, control = tight)
  k <- length(fit$alpha)
  turn <- c(length(coef(fit)) - rev(seq_along(fit$beta)) + 1, seq_len(k))   # coefficients first, as polr has them
  own <- polr(formula, data = used, method = if (link == "logit") "logistic" else "probit", Hess = TRUE,
              control = list(reltol = 1e-15, maxit = 500))
  se <- function(v) unname(sqrt(diag(v))[turn])
  null <- update(fit, . ~ 1)
  list(names = names(coef(fit))[turn], estimate = unname(coef(fit)[turn]), classical = se(vcov(fit)),
    HC0 = se(sandwich(fit)), CR0 = se(vcovCL(fit, cluster = used$unit, type = "HC0", cadjust = FALSE)),
    CR1 = se(vcovCL(fit, cluster = used$unit, type = "HC1")), log_likelihood = as.numeric(logLik(fit)),
    aic = AIC(fit), bic = BIC(fit), mcfadden = 1 - as.numeric(logLik(fit)) / as.numeric(logLik(null)),
    nagelkerke = (1 - exp(2 * (as.numeric(logLik(null)) - as.numeric(logLik(fit))) / nrow(used))) / (1 - exp(2 * as.numeric(logLik(null)) / nrow(used))),
    lr = 2 * as.numeric(logLik(fit) - logLik(null)), polr = unname(c(coef(own), own$zeta)), n = nrow(used),
    nominal = sapply(terms, function(t) {   # as nominal_test does it
      rest <- paste("y ~", paste(setdiff(terms, t), collapse = " + "))
      freer <- do.call(clm, list(as.formula(rest), nominal = as.formula(paste("~", t)), data = used, link = link,
                                 control = clm.control(gradTol = 1e-10, maxIter = 500)))
      2 * (as.numeric(logLik(freer)) - as.numeric(logLik(fit)))
    }))
}
ordinal <- lapply(c(logit = "logit", probit = "probit"), function(link) one(y ~ leadership + readiness + trained + log(tenure) + role, link))
free <- clm(y ~ 1, nominal = ~ leadership + readiness + trained + log(tenure) + role, data = used, control = clm.control(gradTol = 1e-10, maxIter = 500))
ordinal$logit$parallel <- 2 * (as.numeric(logLik(free)) - ordinal$logit$log_likelihood)
design <- svydesign(~unit, weights = ~weight, data = used)
sw <- svyolr(y ~ leadership + readiness + trained, design, control = list(reltol = 1e-15, maxit = 500))
ordinal$weighted <- list(estimate = unname(c(coef(sw))), se = unname(sqrt(diag(vcov(sw)))))

fit <- multinom(tool ~ leadership + readiness + trained + role, used, maxit = 5000, reltol = 1e-16, abstol = 1e-14, trace = FALSE, Hess = TRUE)
null <- multinom(tool ~ 1, used, maxit = 5000, reltol = 1e-16, abstol = 1e-14, trace = FALSE)
x <- model.matrix(fit); b <- rbind(0, coef(fit)); p <- exp(x %*% t(b)); p <- p / rowSums(p)
hot <- outer(as.integer(used$tool), 1:3, "==")
score <- do.call(cbind, lapply(2:3, function(k) x * (hot[, k] - p[, k])))
h <- do.call(rbind, lapply(2:3, function(j) do.call(cbind, lapply(2:3, function(k) crossprod(x, x * (p[, j] * ((j == k) - p[, k])))))))
v <- solve(h); g <- length(unique(used$unit)); q <- ncol(score)
multinomial <- list(names = colnames(coef(fit)), estimate = unname(as.vector(t(coef(fit)))), log_likelihood = as.numeric(logLik(fit)),
  classical = unname(sqrt(diag(v))), HC0 = unname(sqrt(diag(v %*% crossprod(score) %*% v))),
  CR1 = unname(sqrt(diag(v %*% crossprod(rowsum(score, used$unit)) %*% v * g / (g - 1) * (nrow(used) - 1) / (nrow(used) - q)))),
  multinom_se = unname(as.vector(t(summary(fit)$standard.errors))), gradient = max(abs(colSums(score))),
  mcfadden = 1 - as.numeric(logLik(fit)) / as.numeric(logLik(null)), lr = 2 * as.numeric(logLik(fit) - logLik(null)), aic = AIC(fit))
versions <- sapply(c("MASS", "ordinal", "nnet", "sandwich", "survey"), function(p) as.character(packageVersion(p)))
write_json(list(ordinal = ordinal, multinomial = multinomial, versions = as.list(c(R = paste(R.version$major, R.version$minor, sep = "."), versions))),
  "categories.json", digits = NA, auto_unbox = TRUE, pretty = 1)
