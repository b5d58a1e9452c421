import CVectorKernels

/// A convolution's kernels at the positions of Winograd's tiles, in panels of outputs: `[position][panel][input][output of
/// the panel]`. In bfloat16 two neighbouring inputs are in one word.
struct WinogradKernels {
    /// Outputs of a panel; beyond the last output there are zeros.
    let width: Int
    let panels: Int
    /// Words of 32 bits of a panel at a position.
    private let panelWords: Int
    private let values: Buffer

    /// - Parameter weight: `[outputs, inputs, 3, 3]`.
    init(_ weight: Weight, results: Int, inputs: Int, outputs: Int, in context: ComputeContext) throws {
        let loops = context.winogradKernels
        let width = context.kernels.winograd_panel_width()
        let panels = (outputs + width - 1) / width
        let inputsOfWord = MemoryLayout<UInt32>.size / context.elementType.byteCount
        let panelWords = (inputs + inputsOfWord - 1) / inputsOfWord * width
        self.width = width
        self.panels = panels
        self.panelWords = panelWords
        values = try weight.copy(
            as: "Winograd \(results) \(context.elementType.rawValue) in panels of \(width)",
            byteCount: WinogradTiles.positions(results) * panels * panelWords * MemoryLayout<UInt32>.size, in: context
        ) { weights, target, context in
            let target = target.assumingMemoryBound(to: UInt32.self)
            context.parallel(panels, of: panels * panelWords) { part in
                for panel in part {
                    loops.kernels(
                        results, weights, outputs, inputs, panel, target + panel * panelWords, panels * panelWords)
                }
            }
        }
    }

    /// The panel at a position, `[inputs][width]`.
    func panel(_ panel: Int, at position: Int) -> UnsafeRawPointer {
        UnsafeRawPointer(values.pointer) + (position * panels + panel) * panelWords * MemoryLayout<UInt32>.size
    }
}
