import CVectorKernels

/// The memory in which a block of tiles is multiplied: their values at every position, of the input's channels and of the
/// output's.
struct WinogradSpace {
    /// Tiles that are worked on at a time, where a row of them is not more: enough that a kernel is read for many of them,
    /// few enough that their values stay in the cache that cores share.
    private static let largestBlock = 128

    /// Runs of about the same number of tiles, whole rows of them.
    let blocks: [Range<Int>]
    private let positions: Int
    private let multiplied: Numbers
    private let summed: Numbers
    private let elementType: ElementType

    /// - Parameters:
    ///   - multiplied: channels that go into the products, in the context's element type.
    ///   - summed: channels that come out of them, in float32.
    init(_ tiles: WinogradTiles, multiplied: Int, summed: Int, panelWidth: Int, in context: ComputeContext) {
        let (rows, columns) = (tiles.rows.count, tiles.columns)
        let rowsOfBlock = max(1, Self.largestBlock / columns)
        let count = (rows + rowsOfBlock - 1) / rowsOfBlock
        blocks = (0..<count).map { rows * $0 / count * columns..<rows * ($0 + 1) / count * columns }
        let largest = blocks.map(\.count).max() ?? 0
        positions = tiles.positions
        elementType = context.elementType
        func numbers(_ channels: Int, _ type: ElementType) -> Numbers {
            Numbers(
                channels: channels, panelWidth: panelWidth, tiles: largest, positions: tiles.positions, type: type,
                in: context)
        }
        self.multiplied = numbers(multiplied, context.elementType)
        self.summed = numbers(summed, .float32)
    }

    /// What goes into the products, of squares that lie so in the picture.
    func values(_ squares: WinogradTiles.Squares) -> Values {
        Values(numbers: multiplied, grid: multiplied.grid(squares), byteCount: elementType.byteCount)
    }

    /// What comes out of them.
    var sums: Sums { Sums(numbers: summed) }

    /// Deals all panels of all positions out to the context's threads.
    func forEachPosition(
        panels: Int, in context: ComputeContext, _ body: (_ position: Int, _ panels: Range<Int>) -> Void
    ) {
        context.parallel(positions * panels, of: ComputeContext.grain) { part in
            var next = part.lowerBound
            while next < part.upperBound {
                let position = next / panels
                let end = min(part.upperBound, (position + 1) * panels)
                body(position, next - position * panels..<end - position * panels)
                next = end
            }
        }
    }

    /// Numbers of a block's tiles: `[position][tile][channel]`.
    struct Numbers {
        let channels: Int
        /// Whole panels that hold the channels.
        let panels: Int
        /// Numbers from a tile's to the next one's.
        let row: Int
        /// Numbers from a position's to the next one's.
        let position: Int
        let buffer: Buffer

        init(
            channels: Int, panelWidth: Int, tiles: Int, positions: Int, type: ElementType, in context: ComputeContext
        ) {
            self.channels = channels
            panels = (channels + panelWidth - 1) / panelWidth
            // A line more, so that tiles don't lie powers of two apart and push each other out of the cache.
            row = panels * panelWidth + 64 / type.byteCount
            position = tiles * row
            buffer = Buffer(byteCount: positions * position * type.byteCount, pool: context.pool)
        }

        func grid(_ squares: WinogradTiles.Squares) -> pilot_winograd_grid {
            pilot_winograd_grid(
                results: squares.step, columns: squares.columns, top: squares.top, left: squares.left,
                height: squares.height, width: squares.width, channels: channels, row: row, position: position)
        }
    }

    /// What goes into the products, of the context's element type.
    struct Values {
        fileprivate let numbers: Numbers
        let grid: pilot_winograd_grid
        fileprivate let byteCount: Int

        var row: Int { numbers.row }

        func at(_ position: Int) -> UnsafeMutableRawPointer {
            numbers.buffer.pointer + position * numbers.position * byteCount
        }
        /// From the block's tile number `tile` on, at the first position.
        func of(tile: Int) -> UnsafeMutableRawPointer { numbers.buffer.pointer + tile * row * byteCount }
    }

    /// What comes out of them.
    struct Sums {
        fileprivate let numbers: Numbers

        var row: Int { numbers.row }
        var panels: Int { numbers.panels }
        private var start: UnsafeMutablePointer<Float> {
            numbers.buffer.pointer.assumingMemoryBound(to: Float.self)
        }

        /// For squares that lie so in the picture.
        func grid(_ squares: WinogradTiles.Squares) -> pilot_winograd_grid { numbers.grid(squares) }
        func at(_ position: Int) -> UnsafeMutablePointer<Float> { start + position * numbers.position }
        /// From the block's tile number `tile` on, at the first position.
        func of(tile: Int) -> UnsafeMutablePointer<Float> { start + tile * row }
    }
}
