# Ordinary tests of R's stats package: one line per number, "test<TAB>column<TAB>value".
# Called with two tables: people (y, age, sex, group) and pairs (before, after).
options(warn = -1)
arguments <- commandArgs(TRUE)
d <- read.csv(arguments[1], stringsAsFactors = TRUE)
b <- read.csv(arguments[2])
say <- function(.of, ...) {
  values <- unlist(list(...))
  cat(sprintf("%s\t%s\t%.17g\n", .of, names(values), as.numeric(values)), sep = "")
}
t_of <- function(test, r)
  say(test, t = r$statistic[[1]], df = r$parameter[[1]], p = r$p.value, low = r$conf.int[1],
      high = r$conf.int[2])

t_of("welch", t.test(y ~ sex, d))
t_of("student", t.test(y ~ sex, d, var.equal = TRUE))
t_of("paired", t.test(b$before, b$after, paired = TRUE))
r <- wilcox.test(y ~ sex, d); say("mann-whitney", statistic = r$statistic[[1]], p = r$p.value)
r <- wilcox.test(b$before, b$after, paired = TRUE)
say("wilcoxon", statistic = r$statistic[[1]], p = r$p.value)
r <- cor.test(d$y, d$age)
say("pearson", estimate = r$estimate[[1]], df = r$parameter[[1]], p = r$p.value,
    low = r$conf.int[1], high = r$conf.int[2])
r <- cor.test(d$y, d$age, method = "spearman", exact = FALSE)
say("spearman", estimate = r$estimate[[1]], p = r$p.value)
r <- cor.test(d$y, d$age, method = "kendall", exact = FALSE)
say("kendall", estimate = r$estimate[[1]], p = r$p.value)
x <- resid(lm(y ~ sex + group, d)); z <- resid(lm(age ~ sex + group, d))
k <- nrow(d) - 5; r <- cor(x, z); t <- r * sqrt(k / (1 - r^2))
say("partial", estimate = r, df = k, p = 2 * pt(-abs(t), k))
r <- anova(lm(y ~ group, d))
say("anova", statistic = r[["F value"]][1], num_df = r$Df[1], den_df = r$Df[2],
    p = r[["Pr(>F)"]][1])
r <- kruskal.test(y ~ group, d)
say("kruskal-wallis", statistic = r$statistic[[1]], num_df = r$parameter[[1]], p = r$p.value)
for (center in c("median", "mean")) {
  d$away <- abs(d$y - ave(d$y, d$group, FUN = get(center)))
  r <- anova(lm(away ~ group, d))
  say(paste0("levene-", center), statistic = r[["F value"]][1], p = r[["Pr(>F)"]][1])
}
r <- shapiro.test(d$y); say("shapiro", w = r$statistic[[1]], p = r$p.value)
r <- chisq.test(table(d$group, d$sex), correct = FALSE)
say("chi2", statistic = r$statistic[[1]], df = r$parameter[[1]], p = r$p.value)
r <- fisher.test(table(d$y <= 7, d$sex))
say("fisher", p = r$p.value, conditional_odds_ratio = r$estimate[[1]], low = r$conf.int[1],
    high = r$conf.int[2])
contrasts(d$group) <- contr.sum(nlevels(d$group)); contrasts(d$sex) <- contr.sum(2)
r <- drop1(lm(y ~ group * sex + age, d), ~ ., test = "F")
for (term in rownames(r)[-1]) say(paste0("ancova ", term), f = r[term, "F value"],
                                  num_df = r[term, "Df"], p = r[term, "Pr(>F)"])
p <- sapply(levels(d$group), function(g) t.test(y ~ sex, d[d$group == g, ])$p.value)
for (method in c("BH", "BY", "holm", "bonferroni"))
  say(paste0("adjust ", method), setNames(p.adjust(p, method), names(p)))
say("adjust none", p)
