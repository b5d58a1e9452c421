import DiffusionModels
import Failures
import MessagePassing
import PilotInpainting
import ShardedRuntime

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
                if let comparison = outputs.comparison(index) {
                    let photograph = materials.inputs.photograph
                    try await writer.writeComparison(photograph, blended: photograph, to: comparison)
                }
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
            let start = ImageStart(index: index, embeddings: embeddings, latent: materials.inputs.initialLatent)
            let run = ImageRun(sampler: sampler, encoder: encoder, progress: progress, ledger: ledger)
            let dump = outputs.dump == nil ? nil : TensorDump()
            let decoded = try await run.sample(
                start, on: predictor, dump: dump, previews: previews(of: index, materials.inputs.geometry))
            let result = try await writer.write(
                decoded, dump: dump, to: outputs.picture(index), dumpFile: outputs.dump(index), image: index)
            guard let comparison = outputs.comparison(index) else { continue }
            progress.clear()
            Console.note("for comparison, blending alone")
            let blender = try sampler.blendingAlone()
            let watch = ProgressReport(plan: blender.plan, imageCount: 1, first: index)
            defer { watch.clear() }
            let blended = try await ImageRun(sampler: blender, encoder: encoder, progress: watch, ledger: ledger)
                .sample(start, on: predictor)
            try await writer.writeComparison(result, blended: writer.composed(blended), to: comparison)
        }
        progress.clear()
        let reports = try await predictor.reports()
        predictor.stop()
        Console.print(JobSummary(ledger: ledger, reports: reports, computation: settings.computation).text)
    }
}

extension InpaintJob {
    private func previews(of index: Int, _ geometry: JobGeometry) -> PreviewWriter? {
        outputs.preview.map {
            PreviewWriter(
                folder: $0, geometry: geometry, prefix: outputs.count > 1 ? "image-\(index + 1)-" : "")
        }
    }

    private func describe(_ plan: PilotPlan, _ geometry: JobGeometry) -> String {
        let optimised = plan.steps.count(where: \.isOptimized)
        let gradientSteps = Console.count(settings.method.gradientSteps, "gradient step")
        let work = optimised == 0 ? "none optimised" : "\(optimised) of them optimised with \(gradientSteps) each"
        return "\(settings.model): \(geometry.summary), \(Console.count(plan.steps.count, "step")), \(work); "
            + settings.computation.summary(ranks: communicator.size)
    }
}
