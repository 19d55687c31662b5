# Times R's wilcox.test in one process; `run` beside this file calls it.
#
#     Rscript peer.R version
#     Rscript peer.R time R KIND N M CANARY BASELINE
#
# Prints seconds per call and the answer, one `name value` a line. The method is that of rust/src/timing.rs.

short <- 1e-3
loop <- 20e-3

# proc.time() counts milliseconds, which is too coarse.
now <- function() as.numeric(Sys.time())

sets_of <- function(path, n) {
  values <- readBin(path, "double", n = file.size(path) / 8, endian = "little")
  lapply(seq_len(length(values) / n), function(i) values[((i - 1) * n + 1):(i * n)])
}

main <- function(kind, n, m, canary, baseline) {
  n <- as.numeric(n)
  canary <- sets_of(canary, as.numeric(n))
  baseline <- sets_of(baseline, as.numeric(m))
  sets <- length(canary)
  call <- switch(kind,
    test = , presorted = function(x, y) wilcox.test(x, y, exact = FALSE, correct = TRUE),
    exact = function(x, y) wilcox.test(x, y, exact = TRUE),
    default = function(x, y) wilcox.test(x, y),
    interval = function(x, y) wilcox.test(x, y, exact = FALSE, correct = TRUE, conf.int = TRUE, conf.level = 0.95),
    ks = function(x, y) ks.test(x, y),
    welch = function(x, y) t.test(x, y),
    paired = function(x, y) wilcox.test(x, y, paired = TRUE, exact = FALSE, correct = TRUE, conf.int = TRUE, conf.level = 0.95),
    odds = function(x, y) fisher.test(matrix(c(x[1], y[1], x[2] - x[1], y[2] - y[1]), 2)),
    strata = function(x, y) {
      bad <- seq(1, length(x), 2)
      mantelhaen.test(array(rbind(x[bad], y[bad], x[bad + 1] - x[bad], y[bad + 1] - y[bad]), c(2, 2, length(bad))))
    },
    holm = function(x, y) list(estimate = sum(p.adjust(x, "holm"))),
    stop("no ", kind)
  )
  time <- function(count) {
    start <- now()
    for (i in seq_len(count)) {
      set <- i %% sets + 1
      call(canary[[set]], baseline[[set]])
    }
    (now() - start) / count
  }
  # An exact test of tied values warns that it is none; the answer shows it.
  answer <- suppressWarnings(call(canary[[1]], baseline[[1]]))
  seconds <- suppressWarnings(time(1))
  if (seconds < short) seconds <- suppressWarnings(time(ceiling(loop / seconds)))
  say <- function(name, value) cat(name, format(as.numeric(value), digits = 17), "\n")
  say("seconds", seconds)
  if (kind %in% c("test", "presorted", "exact", "default", "interval")) say("u", answer$statistic)
  if (kind == "ks") say("estimate", answer$statistic)
  # mantelhaen.test has another p than that of homogeneity, and ks.test takes the limit from 100 values an arm on.
  if (!(kind %in% c("strata", "holm", "ks"))) say("p", answer$p.value)
  if (kind %in% c("interval", "paired", "strata", "holm", "odds")) say("estimate", answer$estimate)
  if (kind %in% c("interval", "paired", "strata", "odds")) {
    say("low", answer$conf.int[1])
    say("high", answer$conf.int[2])
  }
}

args <- commandArgs(trailingOnly = TRUE)
if (args[1] == "version") {
  cat("R", paste(R.version$major, R.version$minor, sep = "."), "\n")
} else {
  do.call(main, as.list(args[-(1:2)]))
}
