extension BinaryMask {
    /// The smallest box around all that is repainted; nil if nothing is.
    public var hole: PixelBox? { holes(apart: max(width, height)).first }

    /// The smallest boxes around holes that are apart: the mask is laid out with square tiles, and what touches one tile,
    /// or tiles that touch each other, is one hole. So their number is bounded by the tiles', however ragged the mask.
    ///
    /// - Parameter side: of a tile, in pixels.
    /// - Returns: in the order of the holes' first tiles, from the top down.
    public func holes(apart side: Int) -> [PixelBox] {
        let (columns, rows) = ((width + side - 1) / side, (height + side - 1) / side)
        var tiles = boxes(ofTiles: side, columns: columns, rows: rows)
        var holes: [PixelBox] = []
        for start in tiles.indices {
            guard var hole = tiles[start] else { continue }
            tiles[start] = nil
            var waiting = [start]
            while let tile = waiting.popLast() {
                let (row, column) = (tile / columns, tile % columns)
                for y in max(0, row - 1)...min(rows - 1, row + 1) {
                    for x in max(0, column - 1)...min(columns - 1, column + 1) {
                        guard let box = tiles[y * columns + x] else { continue }
                        tiles[y * columns + x] = nil
                        hole = hole.union(box)
                        waiting.append(y * columns + x)
                    }
                }
            }
            holes.append(hole)
        }
        return holes
    }

    /// What is repainted of each tile.
    private func boxes(ofTiles side: Int, columns: Int, rows: Int) -> [PixelBox?] {
        var tiles = [PixelBox?](repeating: nil, count: columns * rows)
        values.withUnsafeBufferPointer { values in
            for y in 0..<height {
                for column in 0..<columns {
                    let run = y * width + column * side..<y * width + min(width, (column + 1) * side)
                    guard let first = values[run].firstIndex(of: 1), let last = values[run].lastIndex(of: 1) else {
                        continue
                    }
                    let box = PixelBox(x: first - y * width..<last - y * width + 1, y: y..<y + 1)
                    let tile = y / side * columns + column
                    tiles[tile] = tiles[tile]?.union(box) ?? box
                }
            }
        }
        return tiles
    }
}
