import DiffusionModels
import Failures
import ImageFiles
import MessagePassing
import PilotInpainting
import ShardedRuntime

extension DistributedPredictor: NoisePredictor {}

/// An inpainting job from its files to its files, as rank 0 runs it.
///
/// What can be found wrong with the job is found before anything expensive is computed, and before the other ranks
/// are told to load the model.
struct InpaintJob: Sendable {
    let settings: JobSettings
    let outputs: JobOutputs
    /// The job that this one repeats, if it does.
    let recorded: JobRecord?
    let communicator: any Communicator
    private let ledger = PhaseLedger()

    init(settings: JobSettings, outputs: JobOutputs, recorded: JobRecord?, communicator: any Communicator) {
        self.settings = settings
        self.outputs = outputs
        self.recorded = recorded
        self.communicator = communicator
    }

    /// - Throws: `Failure`; no file is written then, but for pictures that were finished before.
    func run() async throws {
        let plan = try Plan(ranks: communicator.size)
        try settings.validate()
        try outputs.check(against: [settings.image, settings.mask])
        let materials = try await ledger.measure(.checking) { try JobMaterials(settings, repeating: recorded) }
        let record = JobRecord(
            settings: settings, fingerprints: materials.inputs.fingerprints,
            modelFingerprint: materials.fingerprint)
        let writer = ResultWriter(inputs: materials.inputs, record: record, ledger: ledger)

        let hasNothingToDo = materials.inputs.latentMask.isEmpty
        if hasNothingToDo { Console.note(materials.inputs.explanationOfEmptyMask) }
        // The dump says what the method computes, even where the picture does not depend on it.
        if hasNothingToDo && outputs.dump == nil {
            try await WorkOrder.nothing.give(to: communicator)
            for index in 0..<outputs.count {
                try await writer.writePhotograph(to: outputs.picture(index), image: index)
            }
            return
        }
        try await compute(materials, plan, writer)
    }

    private func compute(_ materials: JobMaterials, _ plan: Plan, _ writer: ResultWriter) async throws {
        if let warning = ComputationOptions.bindingWarning(threads: settings.computation.threads) {
            Console.warn(warning)
        }
        let workplace = try await Workplace(settings.computation)
        let unet = try await ledger.measure(.checking) {
            try await workplace.thread.run { try materials.checkedUNet() }
        }
        try await WorkOrder.serve(
            model: settings.model, fingerprint: materials.fingerprint, computation: settings.computation
        ).give(to: communicator)

        let encoder = JobEncoder(materials: materials, workplace: workplace, ledger: ledger)
        let embeddings = try await encoder.embeddings(prompts: [settings.negativePrompt, settings.prompt])
        let imageLatent = try await encoder.imageLatent()
        let sampler = try PilotSampler(
            parameters: settings.method, scheduler: materials.scheduler, mask: materials.inputs.latentMask,
            imageLatent: imageLatent)

        let predictor = DistributedPredictor(
            plan: plan, communicator: communicator,
            evaluator: UNetEvaluator(unet: unet, context: workplace.networkContext), thread: workplace.thread)
        try await ledger.measure(.preparing) {
            for branch in GuidanceBranch.allCases {
                try await predictor.prepare(branch, embeddings[branch.rawValue])
            }
        }
        Console.note(describe(sampler.plan, materials.inputs.geometry))
        let progress = ProgressReport(plan: sampler.plan, imageCount: outputs.count)
        defer { progress.clear() }
        for index in 0..<outputs.count {
            let run = ImageRun(
                index: index, outputs: outputs, sampler: sampler, encoder: encoder, progress: progress, ledger: ledger)
            let (decoded, dump) = try await run.sample(
                on: predictor, embeddings: embeddings, initialLatent: materials.inputs.initialLatent)
            try await writer.write(
                decoded, dump: dump, to: outputs.picture(index), dumpFile: outputs.dump(index), image: index)
        }
        progress.clear()
        let reports = try await predictor.reports()
        predictor.stop()
        Console.print(JobSummary(ledger: ledger, reports: reports, computation: settings.computation).text)
    }
}

extension InpaintJob {
    private func describe(_ plan: PilotPlan, _ geometry: JobGeometry) -> String {
        let optimised = plan.steps.count(where: \.isOptimized)
        let gradientSteps = Console.count(settings.method.gradientSteps, "gradient step")
        let work = optimised == 0 ? "none optimised" : "\(optimised) of them optimised with \(gradientSteps) each"
        return "\(settings.model): \(geometry.summary), \(Console.count(plan.steps.count, "step")), \(work); "
            + settings.computation.summary(ranks: communicator.size)
    }
}

/// One picture of a job: the sampler's run and those who watch it.
private struct ImageRun: Sendable {
    let index: Int
    let outputs: JobOutputs
    let sampler: PilotSampler
    let encoder: JobEncoder
    let progress: ProgressReport
    let ledger: PhaseLedger

    /// The decoded picture, `[3, H, W]`, and the dump if one is wanted.
    func sample(
        on predictor: DistributedPredictor, embeddings: [BranchInputs], initialLatent: Latent?
    ) async throws -> (decoded: [Float], dump: TensorDump?) {
        let dump = outputs.dump == nil ? nil : TensorDump()
        if let dump { describe(embeddings, in: dump) }
        let previews = outputs.preview.map {
            PreviewWriter(
                folder: $0, geometry: encoder.materials.inputs.geometry,
                prefix: outputs.count > 1 ? "image-\(index + 1)-" : "")
        }
        ledger.setMark()
        let final = try await sampler.sample(image: index, initialLatent: initialLatent, predictor: predictor) {
            event in
            ledger.observe(event)
            progress.observe(event, image: index)
            dump?.observe(event)
            if let previews { try await preview(event, previews) }
            ledger.setMark()
        }
        let decoded = try await ledger.measure(.decoding) { try await encoder.decoded([final])[0] }
        let size = encoder.materials.inputs.geometry.picture
        dump?.add("decoded", decoded, shape: [3, size.height, size.width])
        return (decoded, dump)
    }

    private func describe(_ embeddings: [BranchInputs], in dump: TensorDump) {
        dump.add("image_latent", sampler.imageLatent)
        dump.add("latent_mask", sampler.mask.values, shape: [sampler.mask.height, sampler.mask.width])
        for (name, branch) in [
            ("prompt_embedding", GuidanceBranch.conditional), ("negative_prompt_embedding", .unconditional),
        ] {
            let inputs = embeddings[branch.rawValue]
            dump.add(name, inputs.embedding, shape: [inputs.tokens, inputs.width])
        }
    }

    private func preview(_ event: PilotEvent, _ writer: PreviewWriter) async throws {
        guard case .reconstructions(let step, let unconditional, let conditional, let guided) = event else { return }
        try await ledger.measure(.previews) {
            let pictures = try await encoder.decoded([unconditional, conditional, guided])
            try writer.write(pictures, step: step.index, timestep: step.timestep)
        }
    }
}
