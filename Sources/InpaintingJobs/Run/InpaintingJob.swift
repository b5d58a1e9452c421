import Failures
import ImageFiles
import PilotInpainting

/// An inpainting job from its files to its files: one picture, or several with seeds that follow each other.
public struct InpaintingJob: Sendable {
    public let settings: JobSettings
    public let outputs: JobOutputs
    /// The job that this one repeats, if it does.
    public let recorded: JobRecord?
    /// What ties it to the edits before and after it, if they are repeated with it.
    var link: EditLink?

    public init(settings: JobSettings, outputs: JobOutputs, repeating recorded: JobRecord? = nil) {
        var settings = settings
        settings.setFormat(outputs.format)
        self.settings = settings
        self.outputs = outputs
        self.recorded = recorded
    }

    /// Finds what can be found wrong without reading a file.
    ///
    /// - Parameters:
    ///   - files: gets the job's files, and has others that the command reads.
    ///   - overwrites: whether what is there may be written over.
    /// - Throws: `Failure.usage` or `Failure.inputOutput`.
    public func check(in files: inout FileClaims, overwrites: Bool) throws {
        try checkSettings(in: &files)
        if !overwrites { try outputs.checkAreNew() }
        try outputs.checkWritable()
    }

    /// Finds what can be found wrong in settings and names.
    ///
    /// - Throws: `Failure.usage`.
    func checkSettings(in claims: inout FileClaims) throws {
        try settings.validate()
        if let adapter = (settings.ipAdapters ?? []).first(where: \.image.isEmpty) {
            throw Failure.usage("--ip-adapter \(adapter.adapter): needs the picture that it shows, --ip-adapter-image")
        }
        guard settings.initialLatent != StandardInput.name else {
            throw Failure.usage("--initial-latent -: standard input gives an image or a mask; name a file")
        }
        guard !(settings.embedding ?? []).contains(where: { $0.file == StandardInput.name }) else {
            throw Failure.usage("--embedding -: standard input gives an image or a mask; name a file")
        }
        let inputs = files
        let streamed = inputs.filter(\.isStandardInput)
        guard streamed.count < 2 else {
            throw Failure.usage(
                "\(streamed.map(\.option).joined(separator: " and ")): only one of them can be -, standard input")
        }
        for file in JobFile.all(of: settings) where !file.isStandardInput { claims.read(file.path, by: file.option) }
        // Folders, or single files, which a dump may not be written over.
        if !ShippedModel.isMeant(by: settings.model) { claims.read(settings.model, by: "--model") }
        claims.read(settings.autoencoder, by: "--vae")
        for network in settings.networks where ShippedNetwork.meant(by: network.path) == nil {
            claims.read(network.path, by: network.option)
        }
        try outputs.checkNames(in: &claims)
    }

    /// The files that it reads, beside its model.
    var files: [JobFile] {
        link?.image == nil ? JobFile.all(of: settings) : JobFile.all(of: settings).filter { $0.option != "--image" }
    }

    /// Reads and checks all files of the job, before anything expensive is computed.
    ///
    /// - Throws: `Failure` naming the file or the option.
    public func prepared(for model: JobModel, observer: @escaping JobObserver) throws -> PreparedJob {
        try model.check(settings.method)
        let inputs = try JobInputs(
            settings, image: link?.image?.bytes, model: model.description, repeating: recorded)
        let prompts = try JobPrompts(settings, model: model, repeating: recorded)
        if let recorded { try model.checkIsUnchanged(since: recorded) }
        for warning in inputs.warnings + prompts.warnings { observer(.warning(warning)) }
        try checkFormat(of: inputs, observer)
        if inputs.isEmpty { observer(.note(inputs.explanationOfEmptyMask)) }
        let fingerprints = inputs.fingerprints.merging(prompts.fingerprints) { first, _ in first }
        let record = link?.record ?? record(inputs.settings, fingerprints: fingerprints, model: model, of: inputs)
        return PreparedJob(
            model: model, inputs: inputs, prompts: prompts, outputs: outputs,
            writer: ResultWriter(inputs: inputs, record: record, kept: link?.result),
            observer: observer)
    }

    /// Finds out whether the picture fits the result's kind of file, and tells what is lost there.
    private func checkFormat(of inputs: JobInputs, _ observer: JobObserver) throws {
        let format = settings.resultFormat
        let size = inputs.parts[0].geometry.photograph
        if let most = format.longestSide, max(size.width, size.height) > most {
            throw Failure.usage(
                "--output \(outputs.picture): a \(format.name) file has sides of \(most) pixels at most, and the image is "
                    + "\(size); name a .png")
        }
        let isShallower = format != .png && inputs.deep != nil
        if let quality = settings.quality {
            let bits = isShallower ? ", and has 8 bits a sample of the image's 16" : ""
            observer(
                .note(
                    "\(format.name) of quality \(quality) changes kept pixels, too, by a little\(bits); a .png file "
                        + "keeps them bit for bit"))
        } else if isShallower {
            observer(
                .note("a \(format.name) file has 8 bits a sample of the image's 16; a .png file keeps them bit for bit")
            )
        }
        for loss in format.losses(of: inputs.metadata) {
            observer(.warning("\(outputs.picture): a \(format.name) file \(loss)"))
        }
    }

    /// What the result of an earlier run must say to be this job's, or nearly: where cuts lie, and what was edited
    /// before, follows from the files.
    ///
    /// - Throws: `Failure` if a file is not there, or the photograph is none.
    func expectedRecord(model: JobModel) throws -> JobRecord {
        // Only what is left to the program depends on the photograph's size.
        let decided =
            settings.area == .auto
            ? settings.decidingArea(of: try JobFile.image(settings).pictureSize(), model.description.sizes)
            : settings.decidingArea(of: PictureSize(width: 1, height: 1), model.description.sizes)
        return record(decided, fingerprints: try JobInputs.fingerprints(of: settings), model: model, of: nil)
    }

    /// As `expectedRecord`, when the image is still to be made.
    func expectedRecordOnAnyImage(model: JobModel) throws -> JobRecord {
        var fingerprints: [String: String] = [:]
        for file in JobFile.all(of: settings) where file.option != "--image" {
            fingerprints[file.path] = try file.fingerprint(repeating: nil)
        }
        let decided =
            settings.area == .auto
            ? settings : settings.decidingArea(of: PictureSize(width: 1, height: 1), model.description.sizes)
        return record(decided, fingerprints: fingerprints, model: model, of: nil)
    }

    private func record(
        _ settings: JobSettings, fingerprints: [String: String], model: JobModel, of inputs: JobInputs?
    ) -> JobRecord {
        var settings = settings
        // Words that are read alike in any syntax are recorded as they always were.
        if model.readsAlike(settings) { settings.promptSyntax = nil }
        var record = JobRecord(
            settings: settings, fingerprints: fingerprints.merging(model.fingerprintsOfParts) { first, _ in first },
            modelFingerprint: model.fingerprint)
        let cuts = inputs?.parts.compactMap(\.geometry.cut) ?? []
        record.cuts = cuts.isEmpty ? nil : cuts
        record.edits = inputs?.edits
        return outputs.recordsPaths ? record : record.withoutPaths()
    }
}
