import CVectorKernels

/// The input gradient of a strip while its tiles are summed, in float32: its own rows, and what its patches have of its
/// neighbours'.
struct WinogradGradient {
    private let tiles: WinogradTiles
    private let channels: Int
    private let window: StripGradientWindow
    private let own: StripPart
    /// Above and below, where the patches reach there.
    private let beside: [StripPart]

    init(_ tiles: WinogradTiles, through window: StripGradientWindow, channels: Int, in context: ComputeContext) {
        self.tiles = tiles
        self.channels = channels
        self.window = window
        func part(_ rows: Range<Int>) -> StripPart {
            StripPart(rows, rowCount: window.width * channels, in: context)
        }
        own = part(window.rows)
        let reach = window.parts?.reached[context.ownStrip] ?? window.rows
        beside = [reach.clamped(to: 0..<window.rows.lowerBound), reach.clamped(to: window.rows.upperBound..<Int.max)]
            .filter { !$0.isEmpty }.map(part)
    }

    /// Adds the patches of a block of tiles, whole rows of them, to all rows that they reach; blocks come from the top down.
    func add(_ block: Range<Int>, _ sums: WinogradSpace.Sums, in context: ComputeContext) {
        let columns = tiles.columns
        let first = tiles.rows.lowerBound
        let rows = first + block.lowerBound / columns..<first + block.upperBound / columns
        for part in [own] + beside {
            let reaching = tiles.reaching(part.rows)
            let wanted = reaching.clamped(to: rows)
            guard !wanted.isEmpty else { continue }
            let start = (wanted.lowerBound - first) * columns
            let count = wanted.count * columns
            let isTop = wanted.lowerBound == reaching.lowerBound
            let grid = sums.grid(tiles.patches(on: part.rows, width: window.width))
            let panelWidth = context.kernels.winograd_panel_width()
            // Patches overlap, so threads share channels and not tiles: each pixel is added to in the order of tiles.
            context.parallel(sums.panels, of: count * tiles.positions * panelWidth) { panels in
                let channel = panels.lowerBound * panelWidth
                context.kernels.winograd_patches_gradient(
                    grid, sums.of(tile: start - block.lowerBound), start, count, channel,
                    min(panels.upperBound * panelWidth, channels) - channel, isTop ? 1 : 0, part.floats)
            }
        }
    }

    /// Adds what neighbours' patches have of this strip's rows, and gives them what this one's have of theirs.
    ///
    /// A row of the picture is reached by two rows of tiles at most, so the sum is the same in either order.
    func addNeighbours(in context: ComputeContext) throws {
        guard let parts = window.parts else { return }
        try context.add(parts, beside: beside, to: own)
    }

    /// The own rows, `[rows, width, channels]`.
    func finished(as type: ElementType, in context: ComputeContext) -> Tensor {
        let dx = TensorDraft(
            shape: [own.rows.count, window.width, channels], elementType: .float32, buffer: own.buffer)
        return type == .float32 ? dx.finished() : dx.converted(to: type, in: context).finished()
    }
}
