/* plan.c - chooses how rows are found (xBestIndex).
 *
 * With MATCH they come nearest first: as many as k says; or, without k, as many as are asked for, so that the order
 * need not be made by SQLite and a JOIN, WHERE or LIMIT takes what it wants. LIMIT serves as k where nothing else can
 * leave out a row. Conditions on the rowid go into the search as filters, an upper bound of the distance as its
 * radius. Without MATCH rows are found by rowid, or all of them.
 */
#include "bindings/sqlite/rhumb_sql.h"

#define ARGUMENT_COUNT_MAX 14

/* What SQLite is to expect; only proportions matter. A JOIN should ask the iterator for row after row, and look each up
 * in the other table, rather than measure the vectors of the other table's rows one by one, unless these are few. */
#define COST_NEAREST 100.0
#define COST_ITERATOR 1000.0
#define COST_ONE 300.0
#define COST_LOOK_UP 10.0
#define COST_SCAN 1000000.0
#define ROWS_NEAREST 10
#define ROWS_ITERATOR 25
#define ROWS_SCAN 100000

/* A plan that is being made. */
typedef struct plan {
    sqlite3_index_info *info;
    char letters[ARGUMENT_COUNT_MAX + 2];
    int count;
    int limit, offset; /* numbers of these constraints, or -1 */
    bool is_complete;  /* every other condition is applied by us */
    bool has_match, has_k, has_radius, has_list, has_one, has_range;
} plan;

static bool take(plan *plan, int i, char letter, bool omit) {
    if (plan->count == ARGUMENT_COUNT_MAX) return false;
    plan->letters[plan->count++] = letter;
    plan->info->aConstraintUsage[i].argvIndex = plan->count;
    plan->info->aConstraintUsage[i].omit = omit;
    return true;
}

static bool take_key(plan *plan, int i) {
    const unsigned op = plan->info->aConstraint[i].op;
    char letter;
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
        if (plan->has_list || plan->has_one) return false;
        if (sqlite3_vtab_in(plan->info, i, -1) != 0) {
            sqlite3_vtab_in(plan->info, i, 1);
            plan->has_list = true;
            letter = SQL_ARGUMENT_IN;
        } else {
            plan->has_one = true;
            letter = SQL_ARGUMENT_IS;
        }
        break;
    case SQLITE_INDEX_CONSTRAINT_GT: letter = SQL_ARGUMENT_ABOVE; break;
    case SQLITE_INDEX_CONSTRAINT_GE: letter = SQL_ARGUMENT_FROM; break;
    case SQLITE_INDEX_CONSTRAINT_LT: letter = SQL_ARGUMENT_BELOW; break;
    case SQLITE_INDEX_CONSTRAINT_LE: letter = SQL_ARGUMENT_TO; break;
    default: return false;
    }
    plan->has_range |= letter != SQL_ARGUMENT_IN && letter != SQL_ARGUMENT_IS;
    return take(plan, i, letter, true);
}

/* Takes a condition that only a query has. Returns whether we apply it. */
static bool take_of_query(plan *plan, int i) {
    const unsigned op = plan->info->aConstraint[i].op;
    switch (plan->info->aConstraint[i].iColumn) {
    case SQL_COLUMN_K:
        if (op != SQLITE_INDEX_CONSTRAINT_EQ || plan->has_k) return false;
        plan->has_k = take(plan, i, SQL_ARGUMENT_K, true);
        return plan->has_k;
    case SQL_COLUMN_EF: return op == SQLITE_INDEX_CONSTRAINT_EQ && take(plan, i, SQL_ARGUMENT_EF, true);
    case SQL_COLUMN_DISTANCE:
        if ((op == SQLITE_INDEX_CONSTRAINT_LT || op == SQLITE_INDEX_CONSTRAINT_LE) && !plan->has_radius) {
            plan->has_radius = take(plan, i, SQL_ARGUMENT_RADIUS, false);
        }
        return false; /* the float that is nearest to the bound may be on either side of it */
    default: return false;
    }
}

/* Finds the MATCH. SQLITE_CONSTRAINT: it cannot be used in this order of the tables. */
static int take_match(plan *plan) {
    for (int i = 0; i < plan->info->nConstraint; i++) {
        const struct sqlite3_index_constraint *const constraint = &plan->info->aConstraint[i];
        if (constraint->op != SQLITE_INDEX_CONSTRAINT_MATCH || constraint->iColumn != SQL_COLUMN_VECTOR) continue;
        if (!constraint->usable) return SQLITE_CONSTRAINT;
        if (!plan->has_match) plan->has_match = take(plan, i, SQL_ARGUMENT_QUERY, true);
    }
    return SQLITE_OK;
}

static void take_others(plan *plan) {
    for (int i = 0; i < plan->info->nConstraint; i++) {
        const struct sqlite3_index_constraint *const constraint = &plan->info->aConstraint[i];
        bool applied = false;
        if (constraint->op == SQLITE_INDEX_CONSTRAINT_LIMIT || constraint->op == SQLITE_INDEX_CONSTRAINT_OFFSET) {
            if (constraint->op == SQLITE_INDEX_CONSTRAINT_LIMIT) plan->limit = i;
            if (constraint->op == SQLITE_INDEX_CONSTRAINT_OFFSET) plan->offset = i;
            if (!constraint->usable) plan->is_complete = false;
            continue;
        }
        if (constraint->op == SQLITE_INDEX_CONSTRAINT_MATCH && constraint->iColumn == SQL_COLUMN_VECTOR) continue;
        if (constraint->usable) {
            const bool is_key = constraint->iColumn == SQL_COLUMN_KEY || constraint->iColumn < 0;
            applied = is_key ? take_key(plan, i) : plan->has_match && take_of_query(plan, i);
        }
        plan->is_complete &= applied;
    }
}

/* Lets SQLite's LIMIT be the number of rows to search for. */
static void take_limit(plan *plan) {
    if (plan->has_k || plan->limit < 0 || !plan->is_complete) return;
    if (plan->offset >= 0 && !take(plan, plan->offset, SQL_ARGUMENT_OFFSET, false)) return;
    plan->has_k = take(plan, plan->limit, SQL_ARGUMENT_LIMIT, false);
}

static bool is_ordered_by(const sqlite3_index_info *info, int column) {
    if (info->nOrderBy != 1 || info->aOrderBy[0].desc) return false;
    return info->aOrderBy[0].iColumn == column || (column == SQL_COLUMN_KEY && info->aOrderBy[0].iColumn < 0);
}

static void plan_nearest(plan *plan) {
    sqlite3_index_info *const info = plan->info;
    const bool is_ordered = is_ordered_by(info, SQL_COLUMN_DISTANCE);
    info->idxNum = SQL_PLAN_NEAREST;
    info->orderByConsumed = is_ordered;
    if (info->nOrderBy == 0 || is_ordered) take_limit(plan);
    info->estimatedCost = plan->has_one                                       ? COST_ONE
                          : plan->has_k || plan->has_radius || plan->has_list ? COST_NEAREST
                                                                              : COST_ITERATOR;
    info->estimatedRows = plan->has_one ? 1 : plan->has_k || plan->has_radius ? ROWS_NEAREST : ROWS_ITERATOR;
    if (plan->has_one) info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
}

static void plan_scan(plan *plan) {
    sqlite3_index_info *const info = plan->info;
    info->idxNum = SQL_PLAN_SCAN;
    info->orderByConsumed = is_ordered_by(info, SQL_COLUMN_KEY);
    if (info->orderByConsumed) plan->letters[plan->count] = SQL_ARGUMENT_SORTED;
    info->estimatedCost = plan->has_one    ? COST_LOOK_UP
                          : plan->has_list ? 10 * COST_LOOK_UP
                                           : COST_SCAN / (plan->has_range ? 4 : 1);
    info->estimatedRows = plan->has_one ? 1 : plan->has_list ? ROWS_NEAREST : ROWS_SCAN / (plan->has_range ? 4 : 1);
    if (plan->has_one) info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
}

/* Whether the rows would have to be sorted by something else, for which all of them would have to be found. */
static bool needs_all(const plan *plan) {
    const sqlite3_index_info *const info = plan->info;
    return info->nOrderBy > 0 && !info->orderByConsumed && !plan->has_k && !plan->has_radius && !plan->has_list &&
           !plan->has_one && sqlite3_vtab_distinct(plan->info) == 0;
}

int sql_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    plan plan = {.info = info, .limit = -1, .offset = -1, .is_complete = true};
    if (take_match(&plan) != SQLITE_OK) return SQLITE_CONSTRAINT;
    take_others(&plan);
    if (plan.has_match) {
        plan_nearest(&plan);
    } else {
        plan_scan(&plan);
    }
    if (plan.has_match && needs_all(&plan)) {
        return sql_fail((sql_table *)vtab, SQLITE_ERROR,
                        "MATCH in an order other than ORDER BY distance needs k, as in \"AND k = 100\"");
    }
    info->idxStr = sqlite3_mprintf("%s", plan.letters);
    info->needToFreeIdxStr = 1;
    return info->idxStr == NULL ? SQLITE_NOMEM : SQLITE_OK;
}
