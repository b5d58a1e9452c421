import TensorKernels

/// A part of a network that is run bit by bit.
typealias LayeredPart = @Sendable (Tensor, ComputeContext) throws -> Tensor

/// A network on its way from input to output, layer by layer, so that whoever runs it can do something more urgent in
/// between. For the thread that computes alone.
public struct LayeredRun<Output> {
    private var hidden: Tensor
    private var parts: ArraySlice<LayeredPart>
    private let context: ComputeContext
    private let output: (Tensor) -> Output

    init(
        _ input: Tensor, _ parts: [LayeredPart], in context: ComputeContext, output: @escaping (Tensor) -> Output
    ) {
        hidden = input
        self.parts = parts[...]
        self.context = context
        self.output = output
    }

    /// Runs the next layer; nil while there are more.
    public mutating func advance() throws -> Output? {
        if let part = parts.popFirst() { hidden = try part(hidden, context) }
        return parts.isEmpty ? output(hidden) : nil
    }

    /// Runs what is left.
    public consuming func finished() throws -> Output {
        while true {
            if let output = try advance() { return output }
        }
    }
}
