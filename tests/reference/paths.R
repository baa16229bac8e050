# Reference values for inference/{partial_least_squares,path_prediction,path_permutation}.py, models/path_models/estimates.py.
# Rscript tests/reference/paths.R   (needs jsonlite; run from the repository root)
# The PLS algorithm of Lohmöller (1989) in plain R, on answers and scores; ours works on correlations. lm() does all
# regressions. Reads paths_mobi.csv: correlations of the 24 items of the ECSI mobile phone data (Tenenhaus et al., 2005,
# Computational Statistics & Data Analysis 48, 159-205; 250 respondents), of which answers with the same correlations are
# made here. Writes paths.csv (drawn here) and paths.json.
suppressPackageStartupMessages(library(jsonlite))
here <- "tests/reference"

pls <- function(x, blocks, drivers, formative = character(0), factors = character(0), inner = "path", tol = 1e-13) {
  x <- scale(as.matrix(x))
  q <- names(blocks)
  unit <- function(y) y / sqrt(mean((y - mean(y))^2))
  x <- apply(x, 2, unit)
  w <- lapply(blocks, function(b) rep(1, length(b)))
  scores <- function(w) sapply(q, function(j) unit(x[, blocks[[j]], drop = FALSE] %*% w[[j]]))
  for (step in 1:3000) {
    y <- scores(w)
    z <- sapply(q, function(j) {
      before <- q[drivers[, j] == 1]; after <- q[drivers[j, ] == 1]
      r <- cor(y, y[, j])[, 1]
      e <- setNames(rep(0, length(q)), q)
      e[c(before, after)] <- r[c(before, after)]
      if (inner == "centroid") e <- sign(e)
      if (inner == "path" && length(before)) e[before] <- coef(lm(y[, j] ~ 0 + y[, before, drop = FALSE]))
      y %*% e
    })
    new <- lapply(q, function(j) {
      b <- x[, blocks[[j]], drop = FALSE]
      v <- if (j %in% formative) coef(lm(z[, j] ~ 0 + b)) else crossprod(b, z[, j])[, 1]
      as.vector(v / sqrt(mean((b %*% v)^2)))
    })
    names(new) <- q
    old <- lapply(q, function(j) w[[j]] / sqrt(mean((x[, blocks[[j]], drop = FALSE] %*% w[[j]])^2)))
    gap <- max(abs(abs(unlist(new)) - abs(unlist(old))))
    w <- new
    if (gap < tol) break
  }
  for (j in q) {
    b <- x[, blocks[[j]], drop = FALSE]
    if (sum(cor(b, b %*% w[[j]])) < 0) w[[j]] <- -w[[j]]
  }
  y <- scores(w)
  loadings <- setNames(lapply(q, function(j) cor(x[, blocks[[j]], drop = FALSE], y[, j])[, 1]), q)
  rho <- sapply(q, function(j) {
    if (!(j %in% factors)) return(1)
    s <- cor(x[, blocks[[j]]]); v <- w[[j]]
    off <- function(m) m - diag(diag(m))
    as.numeric(crossprod(v)^2 * (t(v) %*% off(s) %*% v) / (t(v) %*% off(v %*% t(v)) %*% v))
  })
  for (j in factors) loadings[[j]] <- w[[j]] * sqrt(rho[[j]]) / sum(w[[j]]^2)
  v <- cor(y) / sqrt(rho %o% rho); diag(v) <- 1
  paths <- matrix(0, length(q), length(q), dimnames = list(q, q)); r2 <- setNames(rep(0, length(q)), q)
  for (j in q[colSums(drivers) > 0]) {
    d <- q[drivers[, j] == 1]
    paths[d, j] <- solve(v[d, d, drop = FALSE], v[d, j])
    r2[j] <- sum(paths[d, j] * v[d, j])
  }
  list(w = w, loadings = loadings, y = y, rho = rho, v = v, paths = paths, r2 = r2, steps = step)
}

quality <- function(fit, drivers, n) {   # by regressions with and without each driver on composites
  q <- colnames(fit$y); y <- as.data.frame(fit$y); out <- list()
  for (j in q[colSums(drivers) > 0]) {
    d <- q[drivers[, j] == 1]
    full <- summary(lm(reformulate(d, j), y))
    out[[j]] <- lapply(setNames(d, d), function(i) {
      rest <- setdiff(d, i)
      without <- if (length(rest)) summary(lm(reformulate(rest, j), y))$r.squared else 0
      vif <- if (length(rest)) 1 / (1 - summary(lm(reformulate(rest, i), y))$r.squared) else 1
      c(f2 = (full$r.squared - without) / (1 - full$r.squared), vif = vif)
    })
    out[[j]]$adjusted <- full$adj.r.squared
  }
  out
}
total <- function(b) { t <- b; p <- b; for (i in seq_len(nrow(b))) { p <- p %*% b; t <- t + p }; t }
srmr <- function(x, fit, blocks, drivers, factors) {
  q <- names(blocks); phi <- diag(length(q)); dimnames(phi) <- list(q, q)
  outer <- q[colSums(drivers) == 0]; phi[outer, outer] <- fit$v[outer, outer]; done <- outer
  while (length(done) < length(q)) for (j in setdiff(q, done)) {
    d <- q[drivers[, j] == 1]
    if (all(d %in% done)) {
      phi[done, j] <- phi[j, done] <- phi[done, d, drop = FALSE] %*% fit$paths[d, j]
      done <- c(done, j)
    }
  }
  s <- cor(x); implied <- s
  for (i in q) for (j in q) if (i != j || i %in% factors)
    implied[blocks[[i]], blocks[[j]]] <- fit$loadings[[i]] %o% fit$loadings[[j]] * phi[i, j]
  diag(implied) <- 1
  keep <- lower.tri(s, diag = TRUE)
  sqrt(mean((s - implied)[keep]^2))
}
predicted <- function(x, blocks, drivers, formative, folds) {
  q <- names(blocks); outer <- q[colSums(drivers) == 0]; inner <- setdiff(q, outer)
  fed <- unlist(blocks[outer]); asked <- unlist(blocks[inner])
  ours <- linear <- flat <- x[, asked] * NA
  for (k in unique(folds)) {
    train <- x[folds != k, ]; test <- x[folds == k, ]
    fit <- pls(train, blocks, drivers, formative)
    m <- colMeans(train); s <- apply(train, 2, function(v) sqrt(mean((v - mean(v))^2)))
    known <- sapply(outer, function(j) scale(test[, blocks[[j]], drop = FALSE], m[blocks[[j]]], s[blocks[[j]]]) %*% fit$w[[j]])
    y <- known %*% total(fit$paths)[outer, inner, drop = FALSE]
    for (j in inner) for (i in seq_along(blocks[[j]])) {
      item <- blocks[[j]][i]
      ours[folds == k, item] <- m[item] + s[item] * y[, j] * fit$loadings[[j]][i]
      linear[folds == k, item] <- predict(lm(reformulate(fed, item), as.data.frame(train)), as.data.frame(test))
      flat[folds == k, item] <- m[item]
    }
  }
  error <- function(p) list(rmse = sqrt(colMeans((x[, asked] - p)^2)), mae = colMeans(abs(x[, asked] - p)))
  e <- x[, asked] - ours
  list(items = unname(asked), path = error(ours), linear = error(linear), mean = error(flat),
       skew = apply(e, 2, function(v) mean((v - mean(v))^3) / mean((v - mean(v))^2)^1.5))
}
links <- function(q, ...) {
  m <- matrix(0, length(q), length(q), dimnames = list(q, q))
  for (p in list(...)) m[p[1], p[2]] <- 1
  m
}
flat <- function(fit) list(weights = unname(unlist(fit$w)), loadings = unname(unlist(fit$loadings)), rho = unname(fit$rho),
                           correlations = unname(fit$v), paths = unname(fit$paths), r_squared = unname(fit$r2))

# --- ECSI: answers that have exactly the published correlations
s <- as.matrix(read.csv(file.path(here, "paths_mobi.csv")))
set.seed(1); n <- 250
raw <- qr.Q(qr(scale(matrix(rnorm(n * ncol(s)), n), scale = FALSE)))
ecsi <- raw %*% chol(s); colnames(ecsi) <- colnames(s)
stopifnot(max(abs(cor(ecsi) - s)) < 1e-12)
blocks <- list(Image = paste0("IMAG", 1:5), Expectation = paste0("CUEX", 1:3), Quality = paste0("PERQ", 1:7),
               Value = paste0("PERV", 1:2), Satisfaction = paste0("CUSA", 1:3), Complaints = "CUSCO",
               Loyalty = paste0("CUSL", 1:3))
inner <- links(names(blocks), c("Image", "Expectation"), c("Image", "Satisfaction"), c("Image", "Loyalty"),
               c("Expectation", "Quality"), c("Expectation", "Value"), c("Expectation", "Satisfaction"),
               c("Quality", "Value"), c("Quality", "Satisfaction"), c("Value", "Satisfaction"),
               c("Satisfaction", "Complaints"), c("Satisfaction", "Loyalty"), c("Complaints", "Loyalty"))
schemes <- lapply(c(path = "path", factorial = "factorial", centroid = "centroid"),
                  function(scheme) flat(pls(ecsi, blocks, inner, inner = scheme)))
fit <- pls(ecsi, blocks, inner)
schemes$path$quality <- quality(fit, inner, n)
schemes$path$srmr <- srmr(ecsi, fit, blocks, inner, character(0))
several <- names(blocks)[lengths(blocks) > 1]
corrected <- flat(pls(ecsi, blocks, inner, factors = several))

# --- answers of two groups drawn here, with a formative block and a single item
set.seed(20); n <- 240
trust <- rnorm(n); worry <- -0.4 * trust + sqrt(1 - 0.16) * rnorm(n)
group <- rep(c("a", "b"), c(140, 100))
useful <- ifelse(group == "a", 0.6, 0.3) * trust - 0.2 * worry + 0.7 * rnorm(n)
made <- matrix(rnorm(3 * n), n) + 0.3 * trust
use <- 0.5 * useful + 0.3 * trust + 0.3 * (made %*% c(0.6, 0.4, 0.2))[, 1] + 0.6 * rnorm(n)
item <- function(y, l) round(pmin(pmax(4 + 1.4 * (l * y + sqrt(1 - l^2) * rnorm(n)), 1), 7), 2)
x <- cbind(t1 = item(trust, 0.8), t2 = item(trust, 0.7), t3 = item(trust, 0.75), w1 = item(worry, 0.7),
           w2 = item(worry, 0.8), m1 = round(4 + made[, 1], 2), m2 = round(4 + made[, 2], 2), m3 = round(4 + made[, 3], 2),
           u1 = item(useful, 0.8), u2 = item(useful, 0.7), u3 = item(useful, 0.8), o1 = round(4 + use, 2))
folds <- sample(rep(0:9, length.out = n))
write.csv(data.frame(x, group = group, fold = folds), file.path(here, "paths.csv"), row.names = FALSE, quote = FALSE)
blocks <- list(trust = c("t1", "t2", "t3"), worry = c("w1", "w2"), made = c("m1", "m2", "m3"),
               useful = c("u1", "u2", "u3"), use = "o1")
inner <- links(names(blocks), c("trust", "useful"), c("worry", "useful"), c("trust", "use"), c("useful", "use"), c("made", "use"))
fit <- pls(x, blocks, inner, formative = "made")
factors <- c("trust", "worry", "useful")
fine <- pls(x, blocks, inner, formative = "made", factors = factors)
plain <- c(flat(fit), list(quality = quality(fit, inner, n), total = unname(total(fit$paths)),
                           srmr = srmr(x, fit, blocks, inner, character(0))))
plain$item_vif <- unname(sapply(unlist(blocks), function(i) {
  rest <- setdiff(blocks[[names(Filter(function(b) i %in% b, blocks))]], i)
  if (length(rest)) 1 / (1 - summary(lm(reformulate(rest, i), as.data.frame(x)))$r.squared) else 1
}))
reliability <- function(l) c(cr = sum(l)^2 / (sum(l)^2 + sum(1 - l^2)), ave = mean(l^2))
plain$reliability <- lapply(fit$loadings[factors], reliability)
consistent <- c(flat(fine), list(srmr = srmr(x, fine, blocks, inner, factors), total = unname(total(fine$paths)),
                                 reliability = lapply(fine$loadings[factors], reliability)))
sides <- lapply(c(a = "a", b = "b"), function(g) pls(x[group == g, ], blocks, inner, formative = "made"))
z <- scale(x)
likeness <- sapply(names(blocks), function(j) {
  b <- z[, blocks[[j]], drop = FALSE]
  cor(b %*% sides$a$w[[j]], b %*% sides$b$w[[j]])[1, 1]
})
groups <- list(paths = lapply(sides, function(f) unname(f$paths)), likeness = unname(likeness))

write_json(list(ecsi = c(schemes, list(consistent = corrected)), plain = plain, consistent = consistent, groups = groups,
                prediction = predicted(x, blocks, inner, "made", folds)),
           file.path(here, "paths.json"), digits = NA, auto_unbox = TRUE, pretty = FALSE)
