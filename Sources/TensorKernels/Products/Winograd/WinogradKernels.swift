import CVectorKernels

/// A convolution's kernels at the positions of Winograd's tiles, in panels of outputs: `[position][panel][input][output of
/// the panel]`.
struct WinogradKernels {
    /// Outputs of a panel; beyond the last output there are zeros.
    let width: Int
    let panels: Int
    private let inputs: Int
    private let values: Buffer

    /// - Parameter weight: `[outputs, inputs, 3, 3]`.
    init(_ weight: Weight, results: Int, inputs: Int, outputs: Int, in context: ComputeContext) throws {
        let kernels = context.kernels
        let width = kernels.winograd_panel_width()
        let panels = (outputs + width - 1) / width
        let position = panels * inputs * width
        self.width = width
        self.panels = panels
        self.inputs = inputs
        values = try weight.copy(
            as: "Winograd \(results) in panels of \(width)",
            byteCount: WinogradTiles.positions(results) * position * MemoryLayout<Float>.size, in: context
        ) { weights, target in
            let target = target.assumingMemoryBound(to: Float.self)
            context.parallel(panels, of: position) { part in
                for panel in part {
                    kernels.winograd_kernels(
                        results, weights, outputs, inputs, panel, target + panel * inputs * width, position)
                }
            }
        }
    }

    /// The panel at a position, `[inputs][width]`.
    func panel(_ panel: Int, at position: Int) -> UnsafePointer<Float> {
        UnsafePointer(values.pointer.assumingMemoryBound(to: Float.self))
            + (position * panels + panel) * inputs * width
    }
}
