import CVectorKernels

/// A convolution of kernel 3 and stride 1 by Winograd, and its input gradient, with products of the context's element type
/// and sums of float32.
///
/// The gradient is the exact adjoint and multiplies by the same transformed kernels, so both ways share one copy.
struct WinogradConvolution {
    let weight: Weight
    let inputs: Int
    let outputs: Int

    /// y = the convolution + bias, or added to y, which has any element type.
    ///
    /// - Parameters:
    ///   - x: the rows that `window` reads, `[rows, width, inputs]`, of the context's element type.
    ///   - y: the rows that are wanted, `[rows, columns, outputs]`.
    func forward(
        _ x: Tensor, _ tiles: WinogradTiles, through window: StripWindow, bias: [Float]?, into y: inout TensorDraft,
        adding: Bool, in context: ComputeContext
    ) throws {
        let kernels = try kernels(tiles, in: context)
        let space = WinogradSpace(tiles, multiplied: inputs, summed: outputs, panelWidth: kernels.width, in: context)
        let patches = space.values(tiles.patches(on: window.inputRows, width: x.shape[1]))
        let results = space.sums
        let grid = results.grid(tiles.tiles(on: window.rows, width: window.width))
        let (source, target) = (x.pointer, y.elements)
        let loops = context.winogradKernels
        for block in space.blocks {
            context.parallel(block.count, of: tiles.positions * inputs) { part in
                loops.patches(
                    patches.grid, source, block.lowerBound + part.lowerBound, part.count,
                    patches.of(tile: part.lowerBound))
            }
            space.forEachPosition(panels: kernels.panels, in: context) { position, panels in
                for panel in panels {
                    loops.product(
                        block.count, inputs, patches.at(position), patches.row, kernels.panel(panel, at: position),
                        results.at(position) + panel * kernels.width, results.row)
                }
            }
            context.parallel(block.count, of: tiles.positions * outputs) { part in
                context.kernels.winograd_tiles(
                    grid, results.of(tile: part.lowerBound), block.lowerBound + part.lowerBound, part.count,
                    bias, adding ? 1 : 0, target.kernelType, target.pointer(at: 0))
            }
        }
    }

    /// dx `[rows, width, inputs]`, the rows of `window`.
    ///
    /// - Parameter dy: the rows that `window` reads, of the context's element type.
    func gradient(
        _ dy: Tensor, _ tiles: WinogradTiles, through window: StripGradientWindow, as type: ElementType,
        in context: ComputeContext
    ) throws -> Tensor {
        let dx = WinogradGradient(tiles, through: window, channels: inputs, in: context)
        if !tiles.rows.isEmpty { try sumPatches(of: dy, tiles, from: window.slopeRows, into: dx, in: context) }
        try dx.addNeighbours(in: context)
        return dx.finished(as: type, in: context)
    }

    private func sumPatches(
        of dy: Tensor, _ tiles: WinogradTiles, from rows: Range<Int>, into dx: WinogradGradient,
        in context: ComputeContext
    ) throws {
        let kernels = try kernels(tiles, in: context)
        let space = WinogradSpace(tiles, multiplied: outputs, summed: inputs, panelWidth: kernels.width, in: context)
        let results = space.values(tiles.tiles(on: rows, width: dy.shape[1]))
        let patches = space.sums
        let source = dy.pointer
        let loops = context.winogradKernels
        for block in space.blocks {
            context.parallel(block.count, of: tiles.positions * outputs) { part in
                loops.tiles_gradient(
                    results.grid, source, block.lowerBound + part.lowerBound, part.count,
                    results.of(tile: part.lowerBound))
            }
            space.forEachPosition(panels: patches.panels, in: context) { position, panels in
                for panel in panels {
                    loops.product_gradient(
                        block.count, outputs, inputs, results.at(position), results.row, kernels.panel(0, at: position),
                        panel, patches.at(position) + panel * kernels.width, patches.row)
                }
            }
            dx.add(block, patches, in: context)
        }
    }

    private func kernels(_ tiles: WinogradTiles, in context: ComputeContext) throws -> WinogradKernels {
        try WinogradKernels(weight, results: tiles.results, inputs: inputs, outputs: outputs, in: context)
    }
}

extension ComputeContext {
    /// The loops that multiply numbers of the context's element type.
    var winogradKernels: pilot_winograd_kernels {
        elementType == .float32 ? kernels.winograd : kernels.winograd_bfloat16
    }
}
