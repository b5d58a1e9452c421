import DiffusionModels
import Failures
import MessagePassing
import PilotInpainting
import ShardedRuntime

extension SampledLatent {
    /// What came of a run, as a driver tells it; how long the run waited is rank 0's to know.
    package var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(latent)
        writer.write(UInt8(loss == nil ? 0 : 1))
        if let loss { writer.write(loss) }
        for work in [gradientSteps, denoisingSteps] {
            writer.write(UInt32(clamping: work.count))
            writer.write(work.seconds.bitPattern)
        }
        return writer.bytes
    }

    /// - Throws: an internal fault for bytes that are no result, or that of a latent of another shape.
    package init(decoding bytes: [UInt8], of run: SamplerRun) throws {
        var reader = ByteReader(bytes, subject: "a sampler's result")
        let latent = try reader.readLatent()
        let expected = run.sampler.imageLatent.shape
        guard latent.shape == expected else {
            throw Failure.internalFault("a sampler's result has the shape \(latent.shape), expected \(expected)")
        }
        let loss = try reader.readFlag() ? try reader.readLoss() : nil
        let work = try (0..<2).map { _ in
            Work(count: Int(try reader.read(UInt32.self)), seconds: try reader.readDouble())
        }
        try reader.finish()
        self.init(latent: latent, loss: loss, gradientSteps: work[0], denoisingSteps: work[1])
    }
}
