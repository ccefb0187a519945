from edgec.passes import narrow_regions


def test_constants_and_unread_values_stay_outside(golden):
    golden(
        narrow_regions.run,
        """
        graph @g(%c: bool[], %x: float32[2], %z: float32[2]) -> (%y) {
          const %k: float32[2] = [1.0, 2.0]
          %u: float32[2] = map(%z) {expr=neg(%0)}
          %y: float32[2] = if(%c, %x, %k, %u)
            region @then(%a: float32[2], %b: float32[2], %d: float32[2]) -> (%t) {
              %t: float32[2] = map(%a, %b) {expr=add(%0, %1)}
            }
            region @else(%a: float32[2], %b: float32[2], %d: float32[2]) -> (%t) {
              %t: float32[2] = map(%a) {expr=neg(%0)}
            }
        }
        """,
        """
        graph @g(%c: bool[], %x: float32[2], %z: float32[2]) -> (%y) {
          %u: float32[2] = map(%z) {expr=neg(%0)}
          %y: float32[2] = if(%c, %x)
            region @then(%a: float32[2]) -> (%t) {
              const %k: float32[2] = [1.0, 2.0]
              %t: float32[2] = map(%a, %k) {expr=add(%0, %1)}
            }
            region @else(%a: float32[2]) -> (%t) {
              %t: float32[2] = map(%a) {expr=neg(%0)}
            }
        }
        """,
    )


def test_states_stay(golden):
    golden(
        narrow_regions.run,
        """
        graph @g(%n: int64[], %c: bool[], %x: float32[2], %z: float32[2]) -> (%y) {
          %y: float32[2] = loop(%n, %c, %x, %z, %x)
            region @body(%i: int64[], %s: float32[2], %a: float32[2], %b: float32[2]) -> (%go, %t) {
              const %go: bool[] = [True]
              %t: float32[2] = map(%b) {expr=neg(%0)}
            }
        }
        """,
        """
        graph @g(%n: int64[], %c: bool[], %x: float32[2], %z: float32[2]) -> (%y) {
          %y: float32[2] = loop(%n, %c, %x, %x)
            region @body(%i: int64[], %s: float32[2], %b: float32[2]) -> (%go, %t) {
              const %go: bool[] = [True]
              %t: float32[2] = map(%b) {expr=neg(%0)}
            }
        }
        """,
    )
