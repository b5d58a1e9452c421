import Failures
import Glibc

/// Tells what an earlier run of a batch has done.
struct BatchPresence: Sendable {
    let model: JobModel
    /// Whether what is in the way and is no job's of the batch may be written over.
    let overwrites: Bool

    /// Whether an earlier run has done this job.
    ///
    /// - Parameter waitsForImage: whether the job's image is still to be made: then it is not known, but what is there may
    ///   be this job's, and is looked at again when the image is there.
    /// - Throws: `Failure.usage` when something else is in its place, unless that may be written over.
    func isPresent(_ job: InpaintingJob, waitsForImage: Bool = false) throws -> Bool {
        let file = job.outputs.picture
        let beside = [job.outputs.comparison, job.outputs.dump].compactMap { $0 }
        let existing = ([file] + beside).filter { access($0, F_OK) == 0 }
        guard !existing.isEmpty else { return false }
        if existing.first == file, try hasRecord(file, of: job, waitsForImage: waitsForImage) {
            return !waitsForImage && existing.count == beside.count + 1
        }
        guard overwrites else {
            throw Failure.usage(
                "\(existing.joined(separator: ", ")): is there already, and is not this job's; name another output, "
                    + "or have it written over with --overwrite")
        }
        return false
    }

    private func hasRecord(_ file: String, of job: InpaintingJob, waitsForImage: Bool) throws -> Bool {
        // A picture that can't be read, or has no record, is somebody else's.
        guard let found = try? JobRecord(fromResult: file) else { return false }
        guard waitsForImage else { return found.isSameJob(as: try job.expectedRecord(model: model)) }
        return found.isSameJobOnAnyImage(as: try job.expectedRecordOnAnyImage(model: model))
    }
}
