# Average marginal effects with the delta method by hand, of the people in categories.csv (made by categories.R).
# Rscript effects.R, in this folder; writes effects.json.
suppressMessages({library(ordinal); library(nnet); library(MASS); library(sandwich); library(emmeans); library(numDeriv); library(jsonlite)})
people <- read.csv("categories.csv", stringsAsFactors = TRUE)
used <- people[complete.cases(people), ]
used$high <- as.integer(used$agree >= 4); used$y <- factor(used$agree, ordered = TRUE)
n <- nrow(used); g <- length(unique(used$unit))

# predict(theta, data) gives n x k; numbers are moved by a small step, others switched.
move <- function(predict, theta, driver) {
  at <- function(value) { d <- used; d[[driver]] <- value; colMeans(as.matrix(predict(theta, d))) }
  if (is.factor(used[[driver]])) {
    l <- levels(used[[driver]])
    return(unlist(lapply(l[-1], function(x) at(factor(x, l)) - at(factor(l[1], l)))))
  }
  if (all(used[[driver]] %in% 0:1)) return(at(1) - at(0))
  h <- .004                                                    # central difference of eighth order
  Reduce(`+`, Map(function(i, w) w * (at(used[[driver]] + i * h) - at(used[[driver]] - i * h)) / h, 1:4, c(4/5, -1/5, 4/105, -1/280)))
}
effects <- function(predict, theta, v, drivers) {
  all <- function(t) unlist(lapply(drivers, function(d) move(predict, t, d)))
  j <- jacobian(all, theta)
  list(estimate = all(theta), se = sqrt(diag(j %*% v %*% t(j))))
}
drivers <- c("leadership", "readiness", "tenure", "trained", "role")
centers <- c(mean(used$leadership), mean(used$readiness), sd(used$readiness))   # stay those of the fit
right <- ~ I(leadership - centers[1]) * I((readiness - centers[2]) / centers[3]) + log(tenure) + trained * role
design <- function(d) model.matrix(right, d)

linear <- lm(update(right, agree ~ .), used)
out <- list(linear = effects(function(b, d) design(d) %*% b, coef(linear), vcovHC(linear, type = "HC3"), drivers))
logit <- glm(update(right, high ~ .), binomial, used, control = glm.control(epsilon = 1e-14, maxit = 100))
chance <- function(b, d) plogis(design(d) %*% b)
out$logit <- effects(chance, coef(logit), vcov(logit), drivers)
out$logit_HC0 <- effects(chance, coef(logit), sandwich(logit), drivers)

plain <- glm(high ~ leadership + readiness + trained + role, binomial, used, control = glm.control(epsilon = 1e-14, maxit = 100))
counterfactual <- function(name) {
  grid <- ref_grid(plain, counterfactuals = name, regrid = "response")
  as.data.frame(summary(contrast(emmeans(grid, name), "trt.vs.ctrl1")))[, c("estimate", "SE")]
}
out$emmeans <- tryCatch({
  e <- rbind(counterfactual("trained"), counterfactual("role")); list(estimate = e$estimate, se = e$SE)
}, error = function(error) conditionMessage(error))

tight <- clm.control(gradTol = 1e-12, maxIter = 200)
for (link in c("logit", "probit")) {
  fit <- clm(update(right, y ~ .), data = used, link = link, control = tight)
  up <- if (link == "logit") plogis else pnorm
  answers <- function(b, d) {
    a <- b[1:4]; line <- as.vector(design(d)[, -1] %*% b[-(1:4)])
    at <- cbind(0, up(outer(-line, a, "+")), 1)
    at[, -1] - at[, -6]
  }
  out[[paste0("ordinal_", link)]] <- effects(answers, coef(fit), vcov(fit), drivers)
}
out$ordinal_CR1 <- effects(answers, coef(fit), vcovCL(fit, cluster = used$unit, type = "HC1"), drivers)

some <- c("leadership", "trained", "role")
fit <- multinom(tool ~ leadership * trained + role, used, maxit = 5000, reltol = 1e-16, abstol = 1e-14, trace = FALSE)
x <- function(d) model.matrix(~ leadership * trained + role, d)
softmax <- function(b, d) { e <- exp(cbind(0, x(d) %*% matrix(b, ncol = 2))); e / rowSums(e) }
b <- as.vector(t(coef(fit)))
ll <- function(t) sum(log(softmax(t, used)[cbind(1:n, as.integer(used$tool))]))
for (i in 1:2) b <- b - solve(hessian(ll, b), grad(ll, b))
out$multinomial <- effects(softmax, b, solve(-hessian(ll, b)), some)

fit <- glm(posts ~ leadership * trained + role + offset(log(years)), poisson, used, control = glm.control(epsilon = 1e-14, maxit = 100))
out$poisson <- effects(function(b, d) d$years * exp(x(d) %*% b), coef(fit), sandwich(fit), some)
z <- function(d) model.matrix(~ leadership + readiness, d)
mixed <- function(b, d) d$years * exp(x(d) %*% b[1:6]) * (1 - plogis(z(d) %*% b[7:9]))
zll <- function(b) { m <- used$years * exp(x(used) %*% b[1:6]); p <- plogis(z(used) %*% b[7:9])
  sum(log((used$posts == 0) * p + (1 - p) * dnbinom(used$posts, size = exp(b[10]), mu = m))) }
b <- optim(c(coef(fit), -1, 0, 0, 0), zll, method = "BFGS", control = list(fnscale = -1, maxit = 2000, reltol = 1e-14))$par
for (i in 1:5) b <- b - solve(hessian(zll, b), grad(zll, b))
out$zero_inflated <- effects(mixed, b, solve(-hessian(zll, b)), c(some, "readiness"))
versions <- sapply(c("ordinal", "nnet", "emmeans", "numDeriv", "sandwich"), function(p) as.character(packageVersion(p)))
out$versions <- as.list(c(R = paste(R.version$major, R.version$minor, sep = "."), versions))
write_json(out, "effects.json", digits = NA, auto_unbox = TRUE, pretty = 1)
