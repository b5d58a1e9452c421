import NeuralLayers
import TensorKernels

/// One evaluation of the network on its way through one stage: down, up and, for a pass that is recorded, back through
/// both for the gradient, each once and in this order.
///
/// It holds what later parts of the evaluation need, and lets go of it part by part as they use it: a skip when its up
/// unit has taken it, a unit's pullback when it has been called. For the thread that computes alone.
public final class StagePass {
    private enum Progress: Int {
        case isNew, isDown, isUp, isUpGradient, isDone
    }

    private let stage: UNetStage
    private let conditioning: Conditioning
    /// The nets that go down beside the UNet. Between stages their hidden states follow the UNet's, channel after channel.
    private let controls: [ControlPass]
    /// What is added to the hidden state on a rung of the ladder, from T2I-Adapters. It is constant, so that the way back
    /// passes it by.
    private let features: [Int: [Tensor]]
    private let context: ComputeContext
    /// Whether a gradient will be asked for.
    public let isRecorded: Bool

    private var progress = Progress.isNew
    /// The shape of what came in, which is that of the skip above the stage: the size at which the stage's last
    /// upsampler aims.
    private var shapeAbove: [Int] = []
    private var skips: [Tensor] = []
    private var downs: [Pullback] = []
    private var throughMiddle: Pullback?
    private var ups: [UpUnit.Pullback] = []
    private var throughHead: Pullback?
    private var skipGradients: [Tensor] = []

    /// - Parameters:
    ///   - controls: the ControlNets that act, with their shares of the same rungs.
    ///   - features: of the T2I-Adapters that act, scaled, by the rung of the ladder, in float32; of the whole
    ///     picture.
    ///   - isRecorded: whether to keep what the gradient needs.
    public init(
        of stage: UNetStage, _ conditioning: Conditioning, controls: [ControlConditioning] = [],
        features: [Int: [Tensor]] = [:], isRecorded: Bool, in context: ComputeContext
    ) {
        precondition(controls.allSatisfy { $0.stage.rungs == stage.rungs }, "nets go down beside the UNet")
        self.stage = stage
        self.conditioning = conditioning
        self.controls = controls.map { ControlPass($0, isRecorded: isRecorded, in: context) }
        self.features = features
        self.isRecorded = isRecorded
        self.context = context
    }

    /// The hidden states for the stage below from those of the stage above (on the first stage, the latent); on the last
    /// stage the middle's output, for `up`.
    public func down(_ x: Tensor) throws -> Tensor {
        advance(from: .isNew, to: .isDown)
        shapeAbove = x.shape
        var hidden = stage.isFirst ? x : taken(x)
        if stage.isFirst {
            let latent = latent(x)
            for control in controls { control.enter(latent) }
        }
        for (index, unit) in stage.units.enumerated() {
            hidden = try recorded(
                { try unit.down.withPullback(hidden, conditioning, in: context) },
                plain: { try unit.down(hidden, conditioning, in: context) }, keep: { downs.append($0) })
            for feature in features[stage.rungs.lowerBound + index] ?? [] {
                hidden = hidden.adding(context.ownRows(of: feature), in: context)
            }
            skips.append(
                try controls.reduce(hidden) { skip, control in try control.descend(index, addedTo: skip) })
        }
        guard let middle = stage.middle else { return joined(hidden) }
        let bottom = try recorded(
            { try middle.withPullback(hidden, conditioning, in: context) },
            plain: { try middle(hidden, conditioning, in: context) }, keep: { throughMiddle = $0 })
        return try controls.reduce(bottom) { bottom, control in try control.turn(addedTo: bottom) }
    }

    /// The hidden state for the stage above from that of the stage below; on the first stage the network's output.
    public func up(_ x: Tensor) throws -> Tensor {
        advance(from: .isDown, to: isRecorded ? .isUp : .isDone)
        var hidden = x
        for unit in stage.units.reversed() {
            let skip = skips.removeLast()
            let next = skips.last?.shape ?? (stage.isFirst ? nil : shapeAbove)
            hidden = try recorded(
                { try unit.up.withPullback(hidden, skip: skip, next: next, conditioning, in: context) },
                plain: { try unit.up(hidden, skip: skip, next: next, conditioning, in: context) },
                keep: { ups.append($0) })
        }
        guard let head = stage.head else { return hidden }
        return try recorded(
            { try head.withPullback(hidden, in: context) }, plain: { try head(hidden, in: context) },
            keep: { throughHead = $0 })
    }

    /// The gradient for the stage below from that of what `up` gave; on the last stage that of what the last down unit
    /// gave, for `downGradient`.
    ///
    /// - Precondition: the pass is recorded.
    public func upGradient(_ dy: Tensor) throws -> Tensor {
        advance(from: .isUp, to: .isUpGradient)
        var gradient = dy
        if let pullback = throughHead {
            throughHead = nil
            gradient = try pullback(gradient)
        }
        while let pullback = ups.popLast() {
            let (hidden, skip) = try pullback(gradient)
            gradient = hidden
            skipGradients.append(skip)
        }
        guard let pullback = throughMiddle else { return gradient }
        throughMiddle = nil
        for control in controls { try control.turnBack(gradient) }
        return try pullback(gradient)
    }

    /// The gradient of what came into `down`, from that of what it gave.
    public func downGradient(_ dy: Tensor) throws -> Tensor {
        advance(from: .isUpGradient, to: .isDone)
        var gradient = stage.isLast ? dy : taken(dy)
        while let pullback = downs.popLast() {
            let skipGradient = skipGradients.removeLast()
            for control in controls { try control.ascend(skipGradient) }
            // A rung's output went on down the ladder, and across it as a skip.
            gradient = try pullback(gradient.adding(skipGradient, in: context))
        }
        guard stage.isFirst, !controls.isEmpty else { return joined(gradient) }
        // The latent went into the UNet and into every net.
        return controls.reduce(latent(gradient)) { sum, control in sum.adding(control.leave(), in: context) }
    }

    /// The latent alone, or its gradient, of what goes into the UNet: the nets see nothing of what is behind it.
    private func latent(_ x: Tensor) -> Tensor {
        let channels = stage.configuration.outputChannels
        return controls.isEmpty || x.columns == channels ? x : x.channels(0..<channels, in: context)
    }

    /// The UNet's part of what comes from a neighbouring stage; the nets take theirs.
    private func taken(_ states: Tensor) -> Tensor {
        guard !controls.isEmpty else { return states }
        let channels = states.columns / (controls.count + 1)
        func part(_ index: Int) -> Tensor {
            states.channels(index * channels..<(index + 1) * channels, in: context)
        }
        for (index, control) in controls.enumerated() { control.enter(part(index + 1)) }
        return part(0)
    }

    /// The UNet's state, or its gradient, and those of the nets after it.
    private func joined(_ state: Tensor) -> Tensor {
        controls.reduce(state) { states, control in states.concatenatingChannels(control.leave(), in: context) }
    }

    private func recorded<Kept>(
        _ record: () throws -> (y: Tensor, pullback: Kept), plain: () throws -> Tensor, keep: (Kept) -> Void
    ) rethrows -> Tensor {
        guard isRecorded else { return try plain() }
        let (y, pullback) = try record()
        keep(pullback)
        return y
    }

    private func advance(from expected: Progress, to next: Progress) {
        precondition(progress == expected, "a pass goes each way once, and in order: \(progress) is not \(expected)")
        progress = next
    }
}
