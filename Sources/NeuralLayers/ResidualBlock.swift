import TensorKernels

/// shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))) + time))). diffusers' `ResnetBlock2D`.
public struct ResidualBlock: Sendable {
    private let name: String
    private let norm1: GroupNorm
    private let conv1: Convolution2D
    private let time: Linear?
    private let norm2: GroupNorm
    private let conv2: Convolution2D
    private let shortcut: Linear?

    /// - Parameter timeWidth: width of the time embedding; nil in an autoencoder, which has none.
    public init(
        _ scope: ParameterScope, inputs: Int, outputs: Int, timeWidth: Int?, groups: Int, epsilon: Float
    ) {
        name = scope.path
        norm1 = GroupNorm(scope["norm1"], channels: inputs, groups: groups, epsilon: epsilon, silu: true)
        conv1 = .sameSize(scope["conv1"], inputs: inputs, outputs: outputs)
        time = timeWidth.map { Linear(scope["time_emb_proj"], inputs: $0, outputs: outputs) }
        norm2 = GroupNorm(scope["norm2"], channels: outputs, groups: groups, epsilon: epsilon, silu: true)
        conv2 = .sameSize(scope["conv2"], inputs: outputs, outputs: outputs)
        shortcut = inputs == outputs ? nil : Linear(scope["conv_shortcut"], inputs: inputs, outputs: outputs)
    }

    /// x `[h, w, inputs]` to `[h, w, outputs]`; in the memory of x when nothing else holds it and there is no shortcut.
    public func callAsFunction(
        _ x: consuming Tensor, time memory: TimeMemory?, in context: ComputeContext
    ) throws -> Tensor {
        let window1 = conv1.window(of: x, in: context)
        let hidden = try conv1(
            norm1(x, for: window1, in: context), through: window1, shiftedBy: shift(memory, in: context), in: context)
        let window2 = conv2.window(of: hidden, in: context)
        return try conv2(
            norm2(hidden, for: window2, in: context), through: window2, addedTo: throughShortcut(x, in: context),
            in: context)
    }

    public func withPullback(
        _ x: Tensor, time memory: TimeMemory?, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let window1 = conv1.window(of: x, in: context)
        let (first, throughNorm1) = try norm1.withPullback(x, for: window1, in: context)
        let hidden = try conv1(first, through: window1, shiftedBy: shift(memory, in: context), in: context)
        let window2 = conv2.window(of: hidden, in: context)
        let (second, throughNorm2) = try norm2.withPullback(hidden, for: window2, in: context)
        let y = try conv2(second, through: window2, addedTo: throughShortcut(x, in: context), in: context)
        let (height, width) = (context.cut(of: x).height, x.shape[1])
        return (
            y,
            { dy in
                func back(_ convolution: Convolution2D, _ dy: Tensor) throws -> Tensor {
                    try convolution.gradient(
                        dy, height: height, width: width, as: context.elementType, in: context)
                }
                let dx = try throughNorm1(back(conv1, throughNorm2(back(conv2, dy))))
                guard let shortcut else { return (consume dx).adding(dy, in: context) }
                return try shortcut.gradient(dy, addedTo: consume dx, in: context)
            }
        )
    }

    /// For an input of `height` x `width`; the time embedding's share is one row's.
    public func work(height: Int, width: Int) -> Work {
        let positions = height * width
        var work = conv1.work(height: height, width: width) + conv2.work(height: height, width: width)
        work += shortcut?.work(rows: positions).asConvolutions ?? Work()
        work += time?.work(rows: 1) ?? Work()
        return work + norm1.work(positions: positions) + norm2.work(positions: positions, isOfSum: false)
    }

    private func throughShortcut(_ x: consuming Tensor, in context: ComputeContext) throws -> Tensor {
        guard let shortcut else { return x }
        return try shortcut(x, as: .float32, in: context)
    }

    /// What the time embedding adds to every position, per channel.
    private func shift(_ memory: TimeMemory?, in context: ComputeContext) throws -> [Float] {
        guard let time, let memory else { return [Float](repeating: 0, count: conv1.geometry.outputs) }
        return try memory.shifts.value(for: name) {
            try time(memory.activated, in: context.with(elementType: .float32)).floats
        }
    }
}
