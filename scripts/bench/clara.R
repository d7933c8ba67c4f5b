# Time R's clara: Rscript clara.R FILE ROWS COLUMNS CLUSTERS SAMPLES SAMPLE_SIZE SEED...
# FILE holds the numbers row by row as doubles. A line per seed: seconds, then the medoids' rows from 1.
given <- commandArgs(trailingOnly = TRUE)
numbers <- as.integer(given[-1])
rows <- numbers[1]
columns <- numbers[2]
x <- matrix(readBin(given[1], "double", rows * columns), rows, columns, byrow = TRUE)
for (seed in numbers[-(1:5)]) {
  set.seed(seed)
  started <- proc.time()[["elapsed"]]
  fit <- cluster::clara(x, numbers[3], samples = numbers[4], sampsize = numbers[5],
                        medoids.x = FALSE, rngR = TRUE, pamLike = TRUE)
  spent <- proc.time()[["elapsed"]] - started
  cat(spent, fit$i.med, "\n")
}
