import NeuralLayers
import TensorKernels

/// One evaluation of a ControlNet on its way down a stage, beside the UNet's, and back for the gradient.
///
/// Like `StagePass`, it lets go of each part as it is used.
final class ControlPass {
    private let control: ControlConditioning
    private let isRecorded: Bool
    private let context: ComputeContext
    /// The net's hidden state on the way down; then its gradient on the way back.
    private var state: Tensor?
    private var downs: [Pullback] = []
    private var throughMiddle: Pullback?

    init(_ control: ControlConditioning, isRecorded: Bool, in context: ComputeContext) {
        self.control = control
        self.isRecorded = isRecorded
        self.context = context
    }

    private var stage: ControlStage { control.stage }

    /// Takes what comes from above: a hidden state, or on the first stage the latent.
    func enter(_ x: Tensor) { state = x }

    /// Hands on what goes below, or on the way back above.
    func leave() -> Tensor {
        defer { state = nil }
        return held()
    }

    /// Goes through the unit of rung `index` of the stage.
    ///
    /// - Returns: `skip` with the net's output.
    func descend(_ index: Int, addedTo skip: Tensor) throws -> Tensor {
        let unit = stage.units[index]
        var hidden = leave()
        if isRecorded {
            let (y, pullback) = try unit.down.withPullback(hidden, control.layers, in: context)
            hidden = y
            downs.append(pullback)
        } else {
            hidden = try unit.down(hidden, control.layers, in: context)
        }
        // The map is a constant, so that the way back passes it by.
        if let embedding = control.embedding, stage.rungs.lowerBound + index == 0 {
            hidden = hidden.adding(context.ownRows(of: embedding), in: context)
        }
        state = hidden
        return try output(unit.output, of: hidden, scale: scale(index)).added(to: skip, in: context)
    }

    /// Goes through the net's middle, which nothing follows.
    ///
    /// - Returns: the output of the UNet's middle with the net's.
    func turn(addedTo bottom: Tensor) throws -> Tensor {
        guard let middle = stage.middle else { preconditionFailure("stage \(stage.rungs) has no middle") }
        var hidden = leave()
        if isRecorded {
            let (y, pullback) = try middle.middle.withPullback(hidden, control.layers, in: context)
            hidden = y
            throughMiddle = pullback
        } else {
            hidden = try middle.middle(hidden, control.layers, in: context)
        }
        return try output(middle.output, of: hidden, scale: middleScale).added(to: bottom, in: context)
    }

    /// Comes back to where the net turned.
    ///
    /// - Parameter dy: the gradient of the output of the UNet's middle.
    func turnBack(_ dy: Tensor) throws {
        guard let middle = stage.middle, let pullback = throughMiddle else {
            preconditionFailure("a pass turns back once, where it turned")
        }
        throughMiddle = nil
        state = try pullback(gradient(dy, through: middle.output, scale: middleScale))
    }

    /// Goes back through the last unit that was not gone back through.
    ///
    /// - Parameter skipGradient: of the skip to which that unit's output was added.
    func ascend(_ skipGradient: Tensor) throws {
        guard let pullback = downs.popLast() else { preconditionFailure("a pass goes back through a unit once") }
        let index = downs.count
        let own = try gradient(skipGradient, through: stage.units[index].output, scale: scale(index))
        state = try pullback(leave().adding(own, in: context))
    }

    private func held() -> Tensor {
        guard let state else { preconditionFailure("a pass goes down and back in order") }
        return state
    }

    private func scale(_ index: Int) -> Float { control.scales[stage.rungs.lowerBound + index] }
    private var middleScale: Float { control.scales[control.scales.count - 1] }

    /// What is added to the UNet's.
    private func output(_ layer: Linear, of hidden: Tensor, scale: Float) throws -> ControlOutput {
        ControlOutput(
            values: try layer(hidden, as: .float32, in: context), scale: scale,
            isPooled: stage.configuration.poolsGlobally)
    }

    /// What is the gradient of the layer's input, from that of what its output was added to.
    private func gradient(_ dy: Tensor, through layer: Linear, scale: Float) throws -> Tensor {
        let scaled = dy.scaled(by: scale, in: context)
        let spread = stage.configuration.poolsGlobally ? try scaled.averagedOverPositions(in: context) : scaled
        return try layer.gradient(spread, as: .float32, in: context)
    }
}

/// What a net makes for one rung.
private struct ControlOutput {
    let values: Tensor
    let scale: Float
    let isPooled: Bool

    /// Scaled first, then averaged if it is to be, then added.
    func added(to sum: Tensor, in context: ComputeContext) throws -> Tensor {
        let scaled = values.scaled(by: scale, in: context)
        let output = isPooled ? try scaled.averagedOverPositions(in: context) : scaled
        return sum.adding(output, in: context)
    }
}
