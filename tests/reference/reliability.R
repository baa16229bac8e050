# Reference values for scales/reliability.py and scales/description.py.
# Rscript tests/reference/reliability.R   (needs psych, lavaan, semTools, jsonlite; run from the repository root)
# Writes reliability.json, and bfi.csv: the first 300 rows of psych::bfi with the 25 items, answers missing as they are there.
suppressPackageStartupMessages({library(psych); library(lavaan); library(semTools); library(jsonlite)})
here <- "tests/reference"
bfi_items <- psych::bfi[1:300, 1:25]
write.csv(bfi_items, file.path(here, "bfi.csv"), row.names = FALSE, na = "", quote = FALSE)
items <- read.csv(file.path(here, "bfi.csv"))

reverse <- c("A1", "C4", "C5", "E1", "E2", "O2", "O5")
items[reverse] <- 7 - items[reverse]
scales <- list(
  agreeableness = paste0("A", 1:5), conscientiousness = paste0("C", 1:5), extraversion = paste0("E", 1:5),
  neuroticism = paste0("N", 1:5), openness = paste0("O", 1:5), three = c("N1", "N2", "N3"), two = c("A2", "A3"))

alpha_of <- function(x) {
  fit <- suppressWarnings(psych::alpha(x))
  list(alpha = fit$total$raw_alpha, low = fit$feldt$lower.ci$raw_alpha, high = fit$feldt$upper.ci$raw_alpha,
       item_rest = fit$item.stats$r.drop, without = fit$alpha.drop$raw_alpha, n = fit$item.stats$n,
       mean = fit$item.stats$mean, sd = fit$item.stats$sd)
}
omega_of <- function(x) {
  names <- colnames(x)
  k <- length(names)
  l <- paste0("l", 1:k); t <- paste0("t", 1:k)
  model <- c(paste("f =~", paste0(l, "*", names, collapse = " + ")), paste0(names, " ~~ ", t, "*", names),
             paste0("omega := (", paste(l, collapse = " + "), ")^2 / ((", paste(l, collapse = " + "), ")^2 + ",
                    paste(t, collapse = " + "), ")"))
  fit <- cfa(paste(model, collapse = "\n"), data = x, std.lv = TRUE, missing = "listwise")
  table <- parameterEstimates(fit)
  row <- table[table$label == "omega", ]
  list(omega = row$est, se = row$se, low = row$ci.lower, high = row$ci.upper, n = lavInspect(fit, "nobs"),
       loadings = table$est[table$op == "=~"], loadings_se = table$se[table$op == "=~"],
       residuals = table$est[table$op == "~~" & table$lhs != "f"], chisq = fitMeasures(fit, "chisq")[[1]],
       semtools = compRelSEM(fit, obs.var = FALSE)[[1]])
}
two <- cor.test(items$A2, items$A3)
sb <- function(r) 2 * r / (1 + r)
scores <- data.frame(lapply(scales[1:5], function(s) rowMeans(items[s], na.rm = TRUE)))
described <- psych::describe(cbind(scores, items[1:5]), type = 2)
pairs <- combn(names(scores), 2)
tests <- apply(pairs, 2, function(p) cor.test(scores[[p[1]]], scores[[p[2]]]))
item_pair <- cor.test(items$A1, items$N3)
p <- sapply(tests, function(t) t$p.value)
complete <- function(x) x[complete.cases(x), ]

values <- list(
  versions = list(R = as.character(getRversion()), psych = as.character(packageVersion("psych")),
                  lavaan = as.character(packageVersion("lavaan")), semTools = as.character(packageVersion("semTools"))),
  scales = scales, reverse = reverse,
  pairwise = lapply(scales, function(s) alpha_of(items[s])),
  listwise = lapply(scales, function(s) alpha_of(complete(items[s]))),
  omega = lapply(scales[names(scales) != "two"], function(s) omega_of(items[s])),
  spearman_brown = list(r = two$estimate[[1]], estimate = sb(two$estimate[[1]]), low = sb(two$conf.int[1]), high = sb(two$conf.int[2])),
  describe = list(term = rownames(described), n = described$n, mean = described$mean, sd = described$sd, skew = described$skew,
                  min = described$min, max = described$max),
  correlate = list(term = pairs[1, ], other = pairs[2, ], r = sapply(tests, function(t) t$estimate[[1]]),
                   low = sapply(tests, function(t) t$conf.int[1]), high = sapply(tests, function(t) t$conf.int[2]),
                   p = p, holm = p.adjust(p, "holm")),
  item_pair = list(r = item_pair$estimate[[1]], low = item_pair$conf.int[1], high = item_pair$conf.int[2],
                   p = item_pair$p.value, df = item_pair$parameter[[1]]))
write(toJSON(values, digits = 16, auto_unbox = TRUE, pretty = TRUE), file.path(here, "reliability.json"))
