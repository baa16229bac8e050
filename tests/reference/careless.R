# Reference values for survey/careless.py.
# Rscript tests/reference/careless.R [FOLDER]   (needs psych, pROC, jsonlite; run from the repository root)
# Writes careless.json, and careless.csv: 120 simulated respondents, 24 items, some answers missing.
# R careless is not on Debian, so it is NOT called here. Its indices are written out below in plain loops from their
# published definitions (Johnson 2005; Meade & Craig 2012; Dunn et al. 2018) and the help pages of careless 1.2.2;
# Mahalanobis distances come from psych::outlier, which careless::mahad calls, intervals from pROC::ci.auc (DeLong).
# FOLDER holds careless_dataset.csv and careless_dataset2.csv, the simulated data sets that careless 1.2.2 ships
# (50 items in 10 scales of 5, 100 items in 10 scales of 10); all their rows are used, every fifth of the second is kept.
suppressPackageStartupMessages({library(psych); library(pROC); library(jsonlite)})
here <- "tests/reference"
folder <- commandArgs(trailingOnly = TRUE)
folder <- if (length(folder)) folder[1] else file.path("..", "shared", "data", "careless")

# --- definitions: a missing answer equals nothing, so it is a run of its own
run_lengths <- function(answers) {
  lengths <- 1
  for (place in seq_along(answers)[-1]) {
    same <- !is.na(answers[place]) && !is.na(answers[place - 1]) && answers[place] == answers[place - 1]
    if (same) lengths[length(lengths)] <- lengths[length(lengths)] + 1 else lengths <- c(lengths, 1)
  }
  lengths
}
mean_of <- function(x) if (all(is.na(x))) NA else sum(x, na.rm = TRUE) / sum(!is.na(x))
correlation <- function(x, y) {
  both <- !is.na(x) & !is.na(y)
  x <- x[both]; y <- y[both]
  if (length(x) < 2 || all(x == x[1]) || all(y == y[1])) return(NA)
  dx <- x - sum(x) / length(x); dy <- y - sum(y) / length(y)
  max(-1, min(1, sum(dx * dy) / sqrt(sum(dx^2) * sum(dy^2))))
}
even_odd <- function(answers, factors) {
  even <- odd <- c()
  start <- 0
  for (size in factors) {
    places <- seq_len(size)
    even <- c(even, mean_of(answers[start + places[places %% 2 == 0]]))
    odd <- c(odd, mean_of(answers[start + places[places %% 2 == 1]]))
    start <- start + size
  }
  r <- correlation(even, odd)
  if (is.na(r)) return(NA)
  stepped <- if (r == -1) -1 else 2 * r / (1 + r)
  -max(-1, stepped)
}
pairs_of <- function(x, critical, antonyms) {
  found <- NULL
  for (later in 2:ncol(x)) for (earlier in 1:(later - 1)) {
    r <- correlation(x[, later], x[, earlier])
    if (!is.na(r) && (if (antonyms) r < -critical else r > critical)) found <- rbind(found, c(later, earlier))
  }
  found
}
synonyms <- function(x, critical, antonyms = FALSE) {
  pairs <- pairs_of(x, critical, antonyms)
  values <- rep(NA, nrow(x))
  if (is.null(pairs)) return(list(pairs = 0, values = values))  # careless stops here
  for (row in seq_len(nrow(x))) {
    first <- x[row, pairs[, 1]]; second <- x[row, pairs[, 2]]
    if (sum(!is.na(first) & !is.na(second)) > 2) values[row] <- correlation(first, second)
  }
  list(pairs = nrow(pairs), values = values)
}
person_total <- function(x) {
  values <- rep(NA, nrow(x))
  for (row in seq_len(nrow(x))) values[row] <- correlation(x[row, ], apply(x[-row, ], 2, mean_of))
  values
}
variability <- function(answers) {
  answers <- answers[!is.na(answers)]
  if (length(answers) < 2) NA else sqrt(sum((answers - mean(answers))^2) / (length(answers) - 1))
}
mahalanobis_of <- function(x) {
  values <- as.numeric(psych::outlier(x, plot = FALSE))
  values[apply(is.na(x), 1, all)] <- NA
  values
}
indices <- function(x, factors, critical, anti) {
  x <- as.matrix(x); colnames(x) <- NULL
  runs <- apply(x, 1, run_lengths, simplify = FALSE)
  syn <- synonyms(x, critical); ant <- synonyms(x, anti, antonyms = TRUE)
  list(factors = factors, critical = critical, critical_antonyms = anti, pairs = syn$pairs, antonym_pairs = ant$pairs,
       values = list(longstring = sapply(runs, max), average_string = sapply(runs, function(l) sum(l) / length(l)),
                     irv = apply(x, 1, variability), even_odd = apply(x, 1, even_odd, factors = factors),
                     synonyms = syn$values, antonyms = ant$values, person_total = person_total(x),
                     mahalanobis = mahalanobis_of(x)))
}
kept <- function(found, rows) { found$values <- lapply(found$values, function(v) v[rows]); c(found, list(rows = rows)) }

# --- the simulated data: 6 scales of 4 items, every fourth item reversed
set.seed(20240611)
n <- 120; scales <- 6; k <- 4
latent <- matrix(rnorm(n * scales), n) %*% chol(0.3 + 0.7 * diag(scales))
x <- matrix(NA, n, scales * k)
for (s in seq_len(scales)) for (i in seq_len(k)) {
  raw <- 0.85 * latent[, s] + sqrt(1 - 0.85^2) * rnorm(n) + 0.4 * (s %% 3)
  answer <- findInterval(raw, c(-1.2, -0.4, 0.4, 1.2)) + 1
  x[, (s - 1) * k + i] <- if (i == k) 6 - answer else answer
}
x[1, ] <- 3                                             # a straight line
x[2, ] <- rep(c(2, 4), length.out = ncol(x))            # a zigzag
x[3:12, ] <- sample(1:5, 10 * ncol(x), replace = TRUE)  # at random
x[sample(length(x), round(0.04 * length(x)))] <- NA
x[13, ] <- NA                                           # nothing answered
x[14, ] <- NA; x[14, 1:5] <- c(1, 2, 2, NA, 4)          # hardly anything answered
x[15, seq(2, ncol(x), 2)] <- 4                          # one half does not vary
colnames(x) <- paste0("s", rep(1:scales, each = k), "_", rep(1:k, scales))
write.csv(x, file.path(here, "careless.csv"), row.names = FALSE, na = "", quote = FALSE)
x <- as.matrix(read.csv(file.path(here, "careless.csv")))

failed <- rep(FALSE, n); failed[c(1:10, seq(20, 110, 10))] <- TRUE
areas <- list()
for (name in c("mahalanobis", "irv", "longstring")) {
  score <- indices(x, rep(k, scales), 0.6, 0.6)$values[[name]]
  use <- !is.na(score)
  curve <- suppressMessages(roc(failed[use], score[use], direction = "<", levels = c(FALSE, TRUE)))
  interval <- as.numeric(ci.auc(curve, method = "delong"))
  areas[[name]] <- list(area = as.numeric(auc(curve)), error = sqrt(var(curve, method = "delong")),
                        low = interval[1], high = interval[3])
}
one <- read.csv(file.path(folder, "careless_dataset.csv"))
two <- read.csv(file.path(folder, "careless_dataset2.csv"))
values <- list(
  versions = list(R = as.character(getRversion()), psych = as.character(packageVersion("psych")),
                  pROC = as.character(packageVersion("pROC"))),
  simulated = kept(indices(x, rep(k, scales), 0.6, 0.6), 1:n),
  careless_dataset = kept(indices(one, rep(5, 10), 0.6, 0.2), 1:nrow(one)),
  careless_dataset2 = kept(indices(two, rep(10, 10), 0.6, 0.5), seq(1, nrow(two), 5)),
  failed = failed, areas = areas)
write_json(values, file.path(here, "careless.json"), digits = NA, auto_unbox = TRUE, na = "null")
