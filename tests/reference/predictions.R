# Average predictions at chosen values with the delta method by hand, of the people in categories.csv (see categories.R).
# Rscript predictions.R, in this folder; writes predictions.json.
suppressMessages({library(ordinal); library(nnet); library(sandwich); library(emmeans); library(numDeriv); library(jsonlite)})
people <- read.csv("categories.csv", stringsAsFactors = TRUE)
used <- people[complete.cases(people), ]
used$high <- as.integer(used$agree >= 4); used$y <- factor(used$agree, ordered = TRUE)
right <- ~ leadership * trained + log(tenure) + role
x <- function(d) model.matrix(right, d)
places <- expand.grid(role = levels(used$role), leadership = c(2, 4))         # the last variable varies slowest
predicted <- function(predict, theta, v) {
  all <- function(t) as.vector(apply(places, 1, function(place) {
    d <- used; d$leadership <- as.numeric(place[["leadership"]]); d$role <- factor(place[["role"]], levels(used$role))
    colMeans(as.matrix(predict(t, d)))
  }))
  j <- jacobian(all, theta)
  list(estimate = all(theta), se = sqrt(diag(j %*% v %*% t(j))))
}
tight <- glm.control(epsilon = 1e-14, maxit = 100)
linear <- lm(update(right, agree ~ .), used)
out <- list(linear = predicted(function(b, d) x(d) %*% b, coef(linear), vcovHC(linear, type = "HC3")))
logit <- glm(update(right, high ~ .), binomial, used, control = tight)
out$logit <- predicted(function(b, d) plogis(x(d) %*% b), coef(logit), vcov(logit))
fit <- clm(update(right, y ~ .), data = used, control = clm.control(gradTol = 1e-12, maxIter = 200))
out$ordinal <- predicted(function(b, d) {
  at <- cbind(0, plogis(outer(-as.vector(x(d)[, -1] %*% b[-(1:4)]), b[1:4], "+")), 1); at[, -1] - at[, -6]
}, coef(fit), vcov(fit))
fit <- glm(update(right, posts ~ . + offset(log(years))), poisson, used, control = tight)
out$poisson <- predicted(function(b, d) d$years * exp(x(d) %*% b), coef(fit), sandwich(fit))
# emmeans' own averages over the respondents
plain <- glm(high ~ leadership + trained + role, binomial, used, control = tight)
means <- as.data.frame(emmeans(ref_grid(plain, counterfactuals = "role", regrid = "response"), "role"))
out$emmeans <- list(estimate = means[[2]], se = means$SE)
out$versions <- as.list(sapply(c("ordinal", "emmeans", "numDeriv", "sandwich"), function(p) as.character(packageVersion(p))))
write_json(out, "predictions.json", digits = NA, auto_unbox = TRUE, pretty = 1)
