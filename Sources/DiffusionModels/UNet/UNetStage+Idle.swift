import NeuralLayers
import TensorKernels

extension UNetStage {
    /// Sends tensors without contents through all layers of the stage, for a context that computes nothing.
    ///
    /// - Parameters:
    ///   - height: of the latent, as `width`.
    public func goThrough(
        _ conditioning: Conditioning, height: Int, width: Int, in idle: ComputeContext
    ) throws {
        let ladder = UNetStage(configuration, weights: RecordingWeights())
            .work(height: height, width: width, tokens: 1).rungs
        func tensor(_ shape: [Int]) -> Tensor {
            TensorDraft(uninitialized: shape, as: .float32, in: idle).finished()
        }
        let pass = StagePass(of: self, conditioning, isRecorded: false, in: idle)
        let above =
            isFirst ? [height, width, configuration.inputChannels] : ladder[rungs.lowerBound - 1].skip
        let bottom = try pass.down(tensor(above))
        _ = try pass.up(isLast ? bottom : tensor(ladder[rungs.upperBound].output))
    }
}
