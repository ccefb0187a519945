/* bands.c: computing steps band by band. compiler/lower/bands.py says what is fused, lower/plan.py what a stage is. */
#include "bands.h"

#include "session.h"

#define MAX_PARAMS 64
#define X 0 /* the operand that a stage reads of the one before */

/* Rows [first, last) of a stage's output, and where the rows of a band would begin in memory that had them all. */
typedef struct rows {
    int32_t first, last;
    ptrdiff_t shift;
} rows;

/* Makes room for the rows of a band: what it shares with the band before moves up, padding is filled. */
static rows prepare(const edge_stage *at, uint8_t *scratch, int32_t band, bool follows) {
    int32_t top = band * at->advance - at->before, bottom = top + at->rows;
    int32_t kept = follows && at->rows > at->advance ? at->rows - at->advance : 0;
    rows r = {top + kept, bottom < at->height ? bottom : at->height, (ptrdiff_t)band * at->advance * at->row_bytes};
    if (r.first < 0) r.first = 0;
    uint8_t *window = scratch + at->offset;
    if (kept > 0) {
        __builtin_memmove(window, window + (size_t)at->advance * at->row_bytes, (size_t)kept * at->row_bytes + at->tail);
    }
    int32_t inside = !follows || at->height < top ? 0 : at->height - top; /* rows that are not padding, or more */
    if (at->fill >= 0 && inside < at->rows) {
        size_t begin = (size_t)inside * at->row_bytes, end = (size_t)at->rows * at->row_bytes + at->tail;
        __builtin_memset(window + begin, at->fill, end - begin);
    }
    return r;
}

static void *place(const edge_session *session, edge_operand at, uint8_t *scratch) {
    return EDGE_AT_SPACE(at) == EDGE_SCRATCH ? scratch + EDGE_AT_OFFSET(at) : edge_session_resolve(session, at);
}

/* `shift` is that of the stage before. */
static void call(const edge_session *session, const edge_stage *at, const rows *r, uint8_t *scratch, ptrdiff_t shift) {
    const edge_step *step = &session->steps[at->step];
    const int32_t *params = session->params + step->params;
    int32_t own[MAX_PARAMS], begin = r->first, end = r->last;
    if (at->width != 0) {
        __builtin_memcpy(own, params, at->params * sizeof *own);
        own[0] = r->first * at->width;
        own[1] = r->last * at->width;
        params = own;
        begin = 0;
        end = own[1] - own[0];
    }
    begin /= at->tile;
    end = (end + at->tile - 1) / at->tile;
    void *p[EDGE_OPERANDS];
    for (int i = 0; i < EDGE_OPERANDS; i++) p[i] = place(session, step->operands[i], scratch);
    p[X] = (void *)((uintptr_t)p[X] - (uintptr_t)shift);
    p[at->y] = (void *)((uintptr_t)p[at->y] - (uintptr_t)r->shift);
    edge_session_kernel(session, step)(p[0], p[1], p[2], p[3], p[4], params, begin, end);
}

static void compute(edge_session *session, uint32_t step, int32_t begin, int32_t end, uint32_t thread, bool follows) {
    const edge_stage *head = session->model->program->bands->stages;
    while (head->step != step) head++;
    uint8_t *scratch = thread == 0 ? session->arena + head->arena : edge_session_scratch(session, thread);
    for (int32_t band = begin; band < end; band++, follows = true) {
        ptrdiff_t shift = 0;
        for (const edge_stage *stage = head; stage < head + head->count; stage++) {
            uint64_t start = edge_session_clock(session);
            rows r = prepare(stage, scratch, band, follows);
            if (r.first < r.last) call(session, stage, &r, scratch, shift);
            shift = r.shift;
            edge_session_spent(session, stage->step, start);
        }
    }
}

const struct edge_band_calls edge_band_calls = {compute};
