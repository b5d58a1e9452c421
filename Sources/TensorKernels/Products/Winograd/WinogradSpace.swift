import CVectorKernels

/// The memory in which a block of tiles is multiplied: their values at every position, of the input's channels and of the
/// output's.
struct WinogradSpace {
    /// Tiles that are worked on at a time: enough that a kernel is read for many of them, few enough that their values
    /// stay in the cache that cores share.
    private static let largestBlock = 128

    /// Runs of about the same number of tiles.
    let blocks: [Range<Int>]
    private let layout: WinogradTiles
    private let inputs: Values
    private let outputs: Values

    init(_ tiles: WinogradTiles, inputs: Int, outputs: Int, panelWidth: Int, in context: ComputeContext) {
        let count = (tiles.count + Self.largestBlock - 1) / Self.largestBlock
        blocks = (0..<count).map { tiles.count * $0 / count..<tiles.count * ($0 + 1) / count }
        let largest = blocks.map(\.count).max() ?? 0
        layout = tiles
        func values(_ channels: Int) -> Values {
            Values(channels: channels, panelWidth: panelWidth, tiles: largest, positions: tiles.positions, in: context)
        }
        self.inputs = values(inputs)
        self.outputs = values(outputs)
    }

    /// The patches of an input of which these rows are here.
    func patches(height: Int, width: Int) -> Side {
        Side(inputs, layout, top: layout.patchTop, left: layout.patchLeft, height: height, width: width)
    }

    /// The tiles of a result of `shape`.
    func tiles(of shape: [Int]) -> Side {
        Side(outputs, layout, top: layout.tileTop, left: 0, height: shape[0], width: shape[1])
    }

    /// Deals all panels of all positions out to the context's threads.
    func forEachPosition(
        panels: Int, in context: ComputeContext, _ body: (_ position: Int, _ panels: Range<Int>) -> Void
    ) {
        context.parallel(layout.positions * panels, of: ComputeContext.grain) { part in
            var next = part.lowerBound
            while next < part.upperBound {
                let position = next / panels
                let end = min(part.upperBound, (position + 1) * panels)
                body(position, next - position * panels..<end - position * panels)
                next = end
            }
        }
    }

    /// Values of a block's tiles: `[position][tile][channel]`.
    struct Values {
        let channels: Int
        /// Whole panels that hold the channels.
        let panels: Int
        /// Floats from a tile's values to the next one's.
        let row: Int
        /// Floats from a position's values to the next one's.
        let position: Int
        let buffer: Buffer

        init(channels: Int, panelWidth: Int, tiles: Int, positions: Int, in context: ComputeContext) {
            self.channels = channels
            panels = (channels + panelWidth - 1) / panelWidth
            // A line more, so that tiles don't lie powers of two apart and push each other out of the cache.
            row = panels * panelWidth + 16
            position = tiles * row
            buffer = Buffer(byteCount: positions * position * MemoryLayout<Float>.size, pool: context.pool)
        }
    }

    /// The values, and how tiles lie in the picture that they come from or go to.
    struct Side {
        let grid: pilot_winograd_grid
        private let space: Values

        fileprivate init(
            _ space: Values, _ layout: WinogradTiles, top: Int, left: Int, height: Int, width: Int
        ) {
            self.space = space
            grid = pilot_winograd_grid(
                results: layout.results, columns: layout.columns, top: top, left: left, height: height, width: width,
                channels: space.channels, row: space.row, position: space.position)
        }

        var row: Int { space.row }
        var panels: Int { space.panels }
        private var start: UnsafeMutablePointer<Float> { space.buffer.pointer.assumingMemoryBound(to: Float.self) }

        func values(at position: Int) -> UnsafeMutablePointer<Float> { start + position * space.position }
        /// From the block's tile number `tile` on, at the first position.
        func values(of tile: Int) -> UnsafeMutablePointer<Float> { start + tile * space.row }
    }
}
