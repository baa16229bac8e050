# Reference values for inference/psychometrics/polychoric.py, inference/psychometrics/bivariate.py and scales/polychorics.py.
# Rscript tests/reference/polychoric.R   (needs psych, lavaan, polycor, mvtnorm, jsonlite; run from the repository root)
# Writes polychoric.json; bfi_complete.csv: the 2,436 rows of psych::bfi with all 25 items answered; polychoric_small.csv:
# items with 2 to 5 categories, empty cells and missing answers.
# Cases on trello_utaut2 and wiki4he are made only where ../shared/data is.
suppressPackageStartupMessages({library(lavaan); library(jsonlite)})
here <- "tests/reference"
shared <- "../shared/data"
bfi <- na.omit(psych::bfi[, 1:25])
write.csv(bfi, file.path(here, "bfi_complete.csv"), row.names = FALSE, quote = FALSE)

set.seed(4)
n <- 240
latent <- rnorm(n)
item <- function(loading, cuts) findInterval(loading * latent + sqrt(1 - loading^2) * rnorm(n), cuts)
small <- data.frame(yes1 = item(0.7, 0.2), yes2 = item(0.8, -0.4), three = item(0.6, c(-0.5, 0.9)),
                    four = item(0.9, c(-1.2, 0, 1.1)), five = item(0.5, c(-1.4, -0.6, 0.3, 1.8)))
small$rare1 <- as.integer(small$four == 3 & seq_len(n) %% 2 == 0)   # 2 x 2 with yes1 has an empty cell
small$rare1[small$yes1 == 0] <- 0L
gaps <- matrix(runif(n * ncol(small)) < 0.12, n)
gaps[, ncol(small)] <- FALSE
small_missing <- small
small_missing[gaps] <- NA
small_missing <- rbind(small_missing, NA, NA)
names(small_missing) <- paste0(names(small), "_m")
write.csv(cbind(rbind(small, NA, NA), small_missing), file.path(here, "polychoric_small.csv"), row.names = FALSE, na = "",
          quote = FALSE)

# The exact statistics of the package: correlations, thresholds item by item, and the covariance times n.
# A full matrix is given for small problems; else its diagonal and its product with cos(1), cos(2), ...
lavaan_of <- function(x, missing = "listwise", full = FALSE) {
  model <- paste("f =~", paste(names(x), collapse = " + "))
  fit <- suppressWarnings(cfa(model, data = x, ordered = names(x), missing = missing, std.lv = TRUE, do.fit = FALSE,
                              estimator = "WLSMV"))
  gamma <- unclass(lavInspect(fit, "gamma"))
  statistics <- lavInspect(fit, "sampstat")
  pairs <- unclass(statistics$cov)
  list(n = lavInspect(fit, "nobs"), thresholds = as.numeric(statistics$th),
       rho = lav_matrix_vech(pairs, diagonal = FALSE), diagonal = as.numeric(diag(gamma)),
       product = as.numeric(gamma %*% cos(seq_len(nrow(gamma)))),
       gamma = if (full) matrix(as.numeric(gamma), nrow(gamma)))
}
# lavCor is the function that is timed and cited; its correlations are those of the fit.
cor_of <- function(x, missing = "listwise")
  lav_matrix_vech(unclass(suppressWarnings(lavCor(x, ordered = names(x), missing = missing))), diagonal = FALSE)

# Two-step likelihood of one table by mvtnorm's TVPACK, with optimize() told to be exact.
exact_of <- function(a, b) {
  table <- unname(table(a, b)); n <- sum(table)
  h <- c(-Inf, qnorm(cumsum(rowSums(table)) / n)); h[length(h)] <- Inf
  k <- c(-Inf, qnorm(cumsum(colSums(table)) / n)); k[length(k)] <- Inf
  below <- function(r, x, y) if (x == -Inf || y == -Inf) 0 else
    if (x == Inf || y == Inf) pnorm(min(x, y)) else
    mvtnorm::pmvnorm(c(-Inf, -Inf), c(x, y), corr = matrix(c(1, r, r, 1), 2), algorithm = mvtnorm::TVPACK(1e-15))[1]
  cell <- function(r, i, j) below(r, h[i + 1], k[j + 1]) - below(r, h[i], k[j + 1]) - below(r, h[i + 1], k[j]) +
    below(r, h[i], k[j])
  slope <- function(r) {   # derivative of the log likelihood: its root is found more exactly than a maximum
    density <- function(x, y) if (is.infinite(x) || is.infinite(y)) 0 else
      exp(-(x^2 - 2 * r * x * y + y^2) / (2 * (1 - r^2))) / (2 * pi * sqrt(1 - r^2))
    total <- 0
    for (i in seq_len(nrow(table))) for (j in seq_len(ncol(table))) if (table[i, j] > 0)
      total <- total + table[i, j] * (density(h[i + 1], k[j + 1]) - density(h[i], k[j + 1]) - density(h[i + 1], k[j]) +
                                        density(h[i], k[j])) / cell(r, i, j)
    total
  }
  uniroot(slope, c(-0.99, 0.99), tol = 1e-14)$root
}

grid <- expand.grid(h = c(-2.5, -0.7, 0, 1.3), k = c(-1.1, 0, 0.4, 2.2),
                    rho = c(-0.999, -0.95, -0.6, -0.2, 0, 0.3, 0.8, 0.93, 0.99, 0.999))
grid$p <- mapply(function(h, k, r) mvtnorm::pmvnorm(c(-Inf, -Inf), c(h, k), corr = matrix(c(1, r, r, 1), 2),
                                                    algorithm = mvtnorm::TVPACK(1e-15))[1], grid$h, grid$k, grid$rho)
five <- bfi[, c("A1", "C4", "E2", "N3", "O5")]
couples <- combn(names(five), 2)
bfi_missing <- read.csv(file.path(here, "bfi.csv"))[, 1:10]
out <- list(
  grid = grid,
  bfi = c(lavaan_of(bfi), list(lavcor = cor_of(bfi))),
  bfi_missing = c(lavaan_of(bfi_missing, "pairwise"), list(lavcor = cor_of(bfi_missing, "pairwise"))),
  bfi_listwise = lavaan_of(bfi_missing, "listwise"),
  small = lavaan_of(small, full = TRUE),
  small_missing = lavaan_of(small_missing, "pairwise", full = TRUE),
  five = list(exact = apply(couples, 2, function(p) exact_of(five[[p[1]]], five[[p[2]]])),
              polycor = apply(couples, 2, function(p) polycor::polychor(five[[p[1]]], five[[p[2]]], ML = FALSE)),
              psych = psych::polychoric(five, correct = 0, smooth = FALSE)$rho[lower.tri(diag(5))],
              psych_tau = as.numeric(t(psych::polychoric(five, correct = 0)$tau))))
if (dir.exists(shared)) {
  trello <- read.csv(file.path(shared, "trello_utaut2/utaut2_216.csv"))[, 1:28]
  wiki <- read.csv(file.path(shared, "wiki4he/wiki4HE.csv"), na.strings = "?")
  wiki <- wiki[, match("PU1", names(wiki)):match("Pf3", names(wiki))]
  out$trello <- lavaan_of(trello)
  # Pairs with an improbable answer: lavaan bounds its probability, polycor does not.
  improbable <- list(c("EE2", "EE4"), c("EE1", "EE2"), c("EE2", "EE3"), c("EE3", "EE4"), c("SI1", "SI2"), c("INT2", "INT3"))
  out$improbable <- list(pairs = do.call(rbind, improbable), polycor = sapply(improbable, function(p)
    suppressWarnings(polycor::polychor(trello[[p[1]]], trello[[p[2]]], ML = FALSE))))
  out$wiki <- lavaan_of(wiki, "pairwise")
}
write_json(out, file.path(here, "polychoric.json"), digits = NA, auto_unbox = TRUE)
