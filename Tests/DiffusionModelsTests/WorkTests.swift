import DiffusionModels
import NeuralLayers
import Testing

/// Operations and parameters of Stable Diffusion 1.5 at 512 x 512, against `torch.utils.flop_counter` over diffusers'
/// networks on the meta device: 803.27, 1116.66 and 2514.52 GFLOP for UNet, encoder and decoder.
@Suite struct WorkTests {
    private func unet(_ weights: RecordingWeights) -> UNetStage {
        UNetStage(
            UNetConfiguration(
                sampleSize: 64, blockChannels: [320, 640, 1280, 1280], layersPerBlock: [2, 2, 2, 2],
                downBlockTypes: [.crossAttention, .crossAttention, .crossAttention, .plain],
                upBlockTypes: [.plain, .crossAttention, .crossAttention, .crossAttention],
                headCounts: [8, 8, 8, 8], crossAttentionDimension: 768, usesLinearProjection: false),
            weights: weights)
    }

    @Test func unetPass() {
        let weights = RecordingWeights()
        let total = unet(weights).work(height: 64, width: 64, tokens: 77).total
        #expect((total.convolutions / 1e9).rounded() == 444)
        #expect((total.linear / 1e9).rounded() == 233)
        #expect((total.attention / 1e9).rounded() == 126)
        #expect(total.parameters == weights.parameterCount)
        #expect(total.parameters == 859_520_964)
    }

    @Test func rungs() {
        let work = unet(RecordingWeights()).work(height: 64, width: 64, tokens: 77)
        func tenths(_ operations: Double) -> Double { (operations / 1e8).rounded() / 10 }
        #expect(
            work.rungs.map { tenths($0.down.operations) } == [
                0.1, 53.8, 53.8, 1.9, 31.6, 34.9, 1.9, 29.3, 32.6, 1.9, 3.8, 3.8,
            ])
        #expect(
            work.rungs.map { tenths($0.up.operations) } == [
                63.2, 63.1, 71.4, 70.1, 44.1, 52.5, 67.9, 41.8, 41.8, 13.6, 6.1, 6.1,
            ])
        #expect(tenths(work.middle.operations) == 12.1)
        let millions = (work.rungs.map { $0.down.parameters + $0.up.parameters } + [work.middle.parameters])
            .map { (Double($0) / 1e6).rounded() }
        #expect(millions == [6, 11, 12, 24, 38, 43, 94, 143, 150, 79, 80, 80, 97])
    }

    @Test func autoencoder() {
        let weights = RecordingWeights()
        let autoencoder = Autoencoder(
            VAEConfiguration(sampleSize: 512, blockChannels: [128, 256, 512, 512], layersPerBlock: 2),
            weights: weights)
        let encoding = autoencoder.encodingWork(height: 512, width: 512)
        let decoding = autoencoder.decodingWork(height: 512, width: 512)
        #expect((encoding.operations / 1e9).rounded() == 1117)
        #expect((decoding.operations / 1e9).rounded() == 2515)
        #expect(encoding.parameters + decoding.parameters == weights.parameterCount)
    }

    /// An odd side: a skip is smaller than twice the one below it, and the upsampler makes that size.
    @Test func sidesThatAreNoMultiples() {
        let unet = unet(RecordingWeights())
        let odd = unet.work(height: 9, width: 7, tokens: 77).total.operations
        #expect(odd > unet.work(height: 8, width: 7, tokens: 77).total.operations)
        #expect(odd < unet.work(height: 10, width: 8, tokens: 77).total.operations)
    }
}
