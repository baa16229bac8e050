# Values that smstudy.clustering must reproduce. Writes clustering.csv (the data) and clustering.json (the values).
# Run in this folder: Rscript clustering.R
library(cluster)
library(fpc)
library(jsonlite)

set.seed(20240607, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
centers <- rbind(c(2, 2, 4, 2), c(4, 4, 2, 4), c(3, 4, 4, 2.5))
group <- rep(1:3, c(60, 45, 35))
x <- round(centers[group, ] + matrix(rnorm(140 * 4, sd = 0.7), 140), 2)
data <- data.frame(adoption = x[, 1], readiness = x[, 2], concerns = x[, 3], usefulness = x[, 4])
data$age <- round(40 + 3 * group + rnorm(140, sd = 9), 1)
data$tenure <- ifelse(runif(140) < 0.25 + 0.15 * group, "long", "short")
write.csv(data, "clustering.csv", row.names = FALSE)

z <- scale(data[, 1:4])
fits <- lapply(2:5, function(k) {
  fit <- kmeans(z, k, nstart = 500, iter.max = 200)
  order <- order(-fit$size, fit$centers[, 1])
  place <- match(fit$cluster, order)
  width <- silhouette(place, dist(z))
  list(k = k, within = fit$tot.withinss, size = fit$size[order], centers = unname(fit$centers[order, ]),
       place = place, silhouette = mean(width[, 3]), silhouettes = unname(tapply(width[, 3], place, mean)))
})
log_within <- clusGap(z, function(x, k) list(cluster = if (k == 1) rep(1, nrow(x)) else fits[[k - 1]]$place),
                      K.max = 5, B = 2, d.power = 2, verbose = FALSE)$Tab[, "logW"]

# Hennig's bootstrap with the drawn rows kept, so that only the arithmetic is compared.
place <- fits[[2]]$place
draws <- lapply(1:6, function(b) sample(140, 140, replace = TRUE))
again <- lapply(draws, function(rows) {
  fit <- kmeans(z[rows, ], 3, nstart = 50)
  apply(z, 1, function(row) which.min(colSums((t(fit$centers) - row)^2)))
})
jaccard <- t(sapply(1:6, function(b) sapply(1:3, function(g) {
  drawn <- sort(unique(draws[[b]]))
  max(sapply(1:3, function(h) clujaccard(place[drawn] == g, again[[b]][drawn] == h)))
})))

welch <- lapply(1:3, function(g) t.test(data$age[place == g], data$age[place != g]))
counts <- table(data$tenure, place)
residuals <- chisq.test(counts, correct = FALSE)$stdres
p <- c(sapply(welch, function(test) test$p.value), 2 * pnorm(-abs(c(t(unclass(residuals))))))
write_json(list(
  r = R.version.string, fits = fits, log_within = unname(log_within),
  draws = draws, again = again, jaccard = jaccard,
  welch = list(statistic = sapply(welch, function(test) unname(test$statistic)),
               df = sapply(welch, function(test) unname(test$parameter)), p = p[1:3]),
  counts = unname(unclass(counts)), residuals = unname(unclass(residuals)), holm = p.adjust(p, "holm")
), "clustering.json", digits = NA, auto_unbox = TRUE, pretty = FALSE)
