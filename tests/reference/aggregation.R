# Reference values for scales/aggregation.py and scales/retests.py.
# Rscript tests/reference/aggregation.R   (needs multilevel, psych, lme4, jsonlite; run from the repository root)
# Writes aggregation.json, aggregation.csv (four items answered 1 to 5 in groups of 3 to 40, some answers missing),
# aggregation_balanced.csv (a score in 12 groups of 10) and retest.csv (a score of 60 people in two waves).
suppressPackageStartupMessages({library(multilevel); library(psych); library(lme4); library(jsonlite)})
here <- "tests/reference"
set.seed(20260)
sizes <- c(3, 6, 7, 9, 11, 12, 15, 18, 22, 26, 33, 40)
group <- rep(sprintf("g%02d", seq_along(sizes)), sizes)
latent <- rnorm(length(sizes), 0, 0.5)[as.integer(factor(group))] + rnorm(length(group), 0, 0.8)
items <- sapply(1:4, function(j) pmin(5, pmax(1, round(3 + latent + rnorm(length(group), 0, 0.7)))))
items[sample(length(items), 20)] <- NA
data <- data.frame(group, items)
names(data) <- c("group", paste0("q", 1:4))
write.csv(data, file.path(here, "aggregation.csv"), row.names = FALSE, na = "", quote = FALSE)

complete <- na.omit(data)
complete$score <- rowMeans(complete[2:5])
model <- aov(score ~ group, data = complete)
f <- summary(model)[[1]]
even <- rwg.j(complete[2:5], complete$group, ranvar = (5^2 - 1) / 12)
skewed <- rwg.j(complete[2:5], complete$group, ranvar = 1.34)

equal <- data.frame(group = rep(sprintf("g%02d", 1:12), each = 10))
equal$score <- round(rnorm(12, 0, 0.6)[rep(1:12, each = 10)] + rnorm(120), 6)
write.csv(equal, file.path(here, "aggregation_balanced.csv"), row.names = FALSE, quote = FALSE)
wide <- t(matrix(equal$score, nrow = 10))
one_way <- psych::ICC(wide, lmer = FALSE)$results
mixed <- as.data.frame(VarCorr(lmer(score ~ 1 + (1 | group), data = equal,
  control = lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14)))))

truth <- rnorm(60, 3, 0.8)
waves <- data.frame(person = sprintf("p%02d", 1:60), before = round(truth + rnorm(60, 0, 0.4), 6),
                    after = round(truth + 0.3 + rnorm(60, 0, 0.4), 6))
write.csv(waves, file.path(here, "retest.csv"), row.names = FALSE, quote = FALSE)
two_way <- psych::ICC(waves[2:3], lmer = FALSE)
rows <- function(r) list(icc = r$ICC, low = r[["lower bound"]], high = r[["upper bound"]])
values <- list(
  versions = list(R = as.character(getRversion()), multilevel = as.character(packageVersion("multilevel")),
                  psych = as.character(packageVersion("psych")), lme4 = as.character(packageVersion("lme4"))),
  unequal = list(icc_1 = ICC1(model), icc_2 = ICC2(model), F = f[1, 4], p = f[1, 5], df = f[, 1],
                 n = nrow(complete), groups = even$grpid, size = even$gsize, rwg = even$rwg.j, skewed = skewed$rwg.j),
  equal = c(rows(one_way[c(1, 4), ]), list(lme4 = mixed$vcov[1] / sum(mixed$vcov))),
  retest = c(rows(two_way$results[2:3, ]), list(
    error = sqrt(two_way$stats[3, 3] + max(two_way$stats[3, 2] - two_way$stats[3, 3], 0) / 60))))
write(toJSON(values, digits = 16, auto_unbox = TRUE, pretty = TRUE), file.path(here, "aggregation.json"))
