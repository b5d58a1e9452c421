import TensorKernels

/// A part of a network that is run bit by bit.
typealias LayeredPart = @Sendable (consuming Tensor, ComputeContext) throws -> Tensor

/// A network on its way from input to output, layer by layer, so that whoever runs it can do something more urgent in
/// between. For the thread that computes alone.
public struct LayeredRun<Output> {
    /// Nil while a part has it, which may then work in its memory.
    private var hidden: Tensor?
    private var parts: ArraySlice<LayeredPart>
    private let context: ComputeContext
    private let output: (Tensor) throws -> Output

    init(
        _ input: Tensor, _ parts: [LayeredPart], in context: ComputeContext, output: @escaping (Tensor) throws -> Output
    ) {
        hidden = input
        self.parts = parts[...]
        self.context = context
        self.output = output
    }

    /// Runs the next layer; nil while there are more.
    public mutating func advance() throws -> Output? {
        guard let x = hidden.take() else { preconditionFailure("a run that is over, or has failed, goes no further") }
        let y = try parts.popFirst().map { try $0(x, context) } ?? x
        guard parts.isEmpty else {
            hidden = y
            return nil
        }
        return try output(y)
    }

    /// Runs what is left.
    public consuming func finished() throws -> Output {
        while true {
            if let output = try advance() { return output }
        }
    }
}
