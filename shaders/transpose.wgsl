// y[b, r, c] = x[b, c, r], where x runs along r and y along c: through a tile of workgroup memory, so that both sides are read and written in
// runs. A row of the tile is one word longer than it need be: columns then fall on different banks. 32-bit elements.
// Open: convert(bits), TILE, TILE_ROWS (TILE × TILE_ROWS invocations move TILE × TILE elements).
// Parameters: 0 rows, 1 columns, 2 input offset, 3 input stride of c, 4 of b, 5 output offset, 6 output stride of r, 7 of b.

var<workgroup> tile: array<array<u32, TILE + 1>, TILE>;

@compute @workgroup_size(TILE, TILE_ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let rows = pu(0);
  let columns = pu(1);
  let row0 = group.y * TILE;
  let column0 = group.x * TILE;
  let source = pu(2) + group.z * pu(4);
  let sink = pu(5) + group.z * pu(7);

  for (var k = local.y; k < TILE; k += TILE_ROWS) {
    let r = row0 + local.x;
    let c = column0 + k;
    if (r < rows && c < columns) {
      tile[k][local.x] = x_bits(source + c * pu(3) + r);
    }
  }
  workgroupBarrier();
  for (var k = local.y; k < TILE; k += TILE_ROWS) {
    let r = row0 + k;
    let c = column0 + local.x;
    if (r < rows && c < columns) {
      y[sink + r * pu(6) + c] = convert(tile[local.x][k]);
    }
  }
}
