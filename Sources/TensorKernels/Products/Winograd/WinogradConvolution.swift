import CVectorKernels

/// A convolution of kernel 3 and stride 1 by Winograd, and its input gradient, in float32.
///
/// The gradient is the exact adjoint and multiplies by the same transformed kernels, so both ways share one copy.
struct WinogradConvolution {
    let weight: Weight
    let inputs: Int
    let outputs: Int

    /// y = the convolution + bias, or added to y.
    ///
    /// - Parameters:
    ///   - x: the rows that the tiles' patches reach, `[height, width, inputs]`.
    ///   - y: of float32, the rows that are wanted, `[rows, columns, outputs]`.
    func forward(
        _ x: Tensor, _ tiles: WinogradTiles, bias: [Float]?, into y: inout TensorDraft, adding: Bool,
        in context: ComputeContext
    ) throws {
        let kernels = try kernels(tiles, in: context)
        let space = WinogradSpace(tiles, inputs: inputs, outputs: outputs, panelWidth: kernels.width, in: context)
        let (input, output) = (space.patches(height: x.shape[0], width: x.shape[1]), space.tiles(of: y.shape))
        let (source, target) = (x.pointer.assumingMemoryBound(to: Float.self), y.elements.floats)
        for block in space.blocks {
            context.parallel(block.count, of: tiles.positions * inputs) { part in
                context.kernels.winograd_patches(
                    input.grid, source, block.lowerBound + part.lowerBound, part.count,
                    input.values(of: part.lowerBound))
            }
            space.forEachPosition(panels: kernels.panels, in: context) { position, panels in
                for panel in panels {
                    context.kernels.winograd_product(
                        block.count, inputs, input.values(at: position), input.row,
                        kernels.panel(panel, at: position),
                        output.values(at: position) + panel * kernels.width, output.row)
                }
            }
            context.parallel(block.count, of: tiles.positions * outputs) { part in
                context.kernels.winograd_tiles(
                    output.grid, output.values(of: part.lowerBound), block.lowerBound + part.lowerBound, part.count,
                    bias, adding ? 1 : 0, target)
            }
        }
    }

    /// dx `[height, width, inputs]`.
    ///
    /// - Parameters:
    ///   - dy: of the tiles, whole rows of them as far as the result has them.
    ///   - height: rows of dx that are wanted, as `width`.
    func gradient(
        _ dy: Tensor, _ tiles: WinogradTiles, height: Int, width: Int, in context: ComputeContext
    ) throws -> Tensor {
        let kernels = try kernels(tiles, in: context)
        let space = WinogradSpace(tiles, inputs: inputs, outputs: outputs, panelWidth: kernels.width, in: context)
        let (input, output) = (space.patches(height: height, width: width), space.tiles(of: dy.shape))
        var dx = TensorDraft(uninitialized: [height, width, inputs], as: .float32, in: context)
        let (source, target) = (dy.pointer.assumingMemoryBound(to: Float.self), dx.elements.floats)
        context.parallel(height, of: width * inputs) { rows in
            (target + rows.lowerBound * width * inputs).update(repeating: 0, count: rows.count * width * inputs)
        }
        for block in space.blocks {
            context.parallel(block.count, of: tiles.positions * outputs) { part in
                context.kernels.winograd_tiles_gradient(
                    output.grid, source, block.lowerBound + part.lowerBound, part.count,
                    output.values(of: part.lowerBound))
            }
            space.forEachPosition(panels: input.panels, in: context) { position, panels in
                for panel in panels {
                    context.kernels.winograd_product_gradient(
                        block.count, outputs, inputs, output.values(at: position), output.row,
                        kernels.panel(0, at: position), panel, input.values(at: position) + panel * kernels.width,
                        input.row)
                }
            }
            // Patches overlap, so threads share channels and not tiles: each pixel is added to in the order of tiles.
            context.parallel(input.panels, of: block.count * tiles.positions * kernels.width) { part in
                let first = part.lowerBound * kernels.width
                context.kernels.winograd_patches_gradient(
                    input.grid, input.values(of: 0), block.lowerBound, block.count, first,
                    min(part.upperBound * kernels.width, inputs) - first, target)
            }
        }
        return dx.finished()
    }

    private func kernels(_ tiles: WinogradTiles, in context: ComputeContext) throws -> WinogradKernels {
        try WinogradKernels(weight, results: tiles.results, inputs: inputs, outputs: outputs, in: context)
    }
}
