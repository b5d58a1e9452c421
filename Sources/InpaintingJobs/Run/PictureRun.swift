import DiffusionModels
import Failures
import ImageFiles
import PilotInpainting
import Synchronization

/// One picture of a job after another, or several at once: the sampler's run, those who watch it, and the files.
struct PictureRun<Engine: InpaintingEngine>: Sendable {
    let engine: Engine
    let inputs: JobInputs
    let outputs: JobOutputs
    /// Of the unconditional branch, and of the conditional one.
    let branches: [BranchInputs]
    let sampler: PilotSampler
    let writer: ResultWriter
    let observer: JobObserver

    /// Makes picture `index`, 0 for the first, and writes all its files, the picture first. A file beside it that can't
    /// be written costs nothing else: the result says so.
    func make(_ index: Int) async throws -> PictureResult {
        let ledger = PhaseLedger()
        let extras = ExtraFiles()
        let dump = outputs.dump == nil ? nil : TensorDump()
        let last = LastLoss()
        if let dump { describe(in: dump) }
        let decoded = try await picture(of: sampler, index, ledger) { event in
            last.observe(event)
            dump?.observe(event)
            if extras.failure == nil { try await extras.write { try await preview(event, index, ledger) } }
            observer(.sampling(event, image: index))
        }
        let size = inputs.geometry.picture
        dump?.add("decoded", decoded, shape: [3, size.height, size.width])
        let result = try writer.composed(decoded)
        let file = outputs.picture(index)
        try await ledger.measure(.writing) {
            // The picture first: what lies beside a picture that has this job's record is this job's too.
            try writer.write(result, to: file, image: index)
            if let dump, let dumpFile = outputs.dump(index) {
                try await extras.write { try dump.write(to: dumpFile) }
            }
        }
        if let comparison = outputs.comparison(index) {
            try await extras.write { try await compare(result, index, to: comparison, ledger) }
        }
        let made = PictureResult(
            file: file, seed: sampler.parameters.seed &+ UInt64(index), loss: last.value,
            seconds: ledger.secondsSinceStart, ledger: ledger, failureBeside: extras.failure)
        observer(.written(made, image: index))
        return made
    }

    private func compare(_ result: RGBImage, _ index: Int, to file: String, _ ledger: PhaseLedger) async throws {
        let blender = try sampler.blendingAlone()
        observer(.comparing(blender.plan, image: index))
        let blended = try await picture(of: blender, index, ledger) { event in
            observer(.samplingComparison(event, image: index))
        }
        let picture = try writer.composed(blended)
        try await ledger.measure(.writing) { try writer.writeComparison(result, blended: picture, to: file) }
    }

    /// The decoded picture, `[3, H, W]` about [-1, 1].
    private func picture(
        of sampler: PilotSampler, _ index: Int, _ ledger: PhaseLedger, observer: @escaping PilotObserver
    ) async throws -> [Float] {
        // The predictor goes before the picture is decoded: its room is the next job's, or ranks that do not decode
        // would wait for those that do.
        let final = try await engine.withPredictor(for: branches, prepared: ledger) { predictor in
            ledger.setMark()
            return try await sampler.sample(
                image: index, initialLatent: inputs.initialLatent, predictor: predictor
            ) { event in
                ledger.observe(event)
                try await observer(event)
                ledger.setMark()
            }
        }
        self.observer(.began(.decoding))
        return try await ledger.measure(.decoding) { try await decoded([final])[0] }
    }

    private func decoded(_ latents: [Latent]) async throws -> [[Float]] {
        let pictures = try await engine.decode(latents)
        precondition(pictures.count == latents.count, "an engine decodes all that it is given")
        return pictures
    }

    private func describe(in dump: TensorDump) {
        dump.add("image_latent", sampler.imageLatent)
        dump.add("latent_mask", sampler.mask.values, shape: [sampler.mask.height, sampler.mask.width])
        // The same in both branches.
        if let latent = branches[0].maskedImageLatent { dump.add("masked_image_latent", latent) }
        for (name, branch) in [
            ("prompt_embedding", GuidanceBranch.conditional), ("negative_prompt_embedding", .unconditional),
        ] {
            let inputs = branches[branch.rawValue]
            dump.add(name, inputs.embedding, shape: [inputs.tokens, inputs.width])
        }
    }

    private func preview(_ event: PilotEvent, _ index: Int, _ ledger: PhaseLedger) async throws {
        guard case .reconstructions(let step, let unconditional, let conditional, let guided) = event,
            let folder = outputs.preview
        else { return }
        let previews = PreviewWriter(
            folder: folder, geometry: inputs.geometry, prefix: outputs.previewPrefix(index))
        try await ledger.measure(.previews) {
            let pictures = try await decoded([unconditional, conditional, guided])
            try previews.write(pictures, step: step.index, timestep: step.timestep)
        }
    }
}

/// Writes what is beside a picture, and remembers when that fails.
private final class ExtraFiles: Sendable {
    private let firstFailure = Mutex<Failure?>(nil)

    /// What could not be written, if anything.
    var failure: Failure? { firstFailure.withLock { $0 } }

    /// - Throws: what `body` throws, but that it could not write.
    func write(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as Failure where failure.kind == .inputOutput {
            firstFailure.withLock { $0 = $0 ?? failure }
        }
    }
}

/// The loss of the gradient step that came last.
private final class LastLoss: Sendable {
    private let loss = Mutex<LossValues?>(nil)

    var value: LossValues? { loss.withLock { $0 } }

    func observe(_ event: PilotEvent) {
        guard case .gradientStep(_, _, let values) = event else { return }
        loss.withLock { $0 = values }
    }
}
