/* bands.h: steps that hand each other a wide tensor are computed together, band by band.
 *
 * Programs without such steps have no table of them, and no code for it: it is reached by way of the table alone.
 */
#ifndef EDGE_BANDS_H
#define EDGE_BANDS_H

#include "internal.h"

struct edge_band_calls {
    /* Computes bands [begin, end) of the steps that begin with `step`, in the scratch memory of `thread`. `follows`: the
     * band before is the last that this thread has computed, just now. */
    void (*compute)(edge_session *session, uint32_t step, int32_t begin, int32_t end, uint32_t thread, bool follows);
};

#endif
