// The two ways to call efrun.
#ifndef EFRT_TOOLS_MODES_H
#define EFRT_TOOLS_MODES_H

namespace efrun {

/// efrun MODEL.efa ...: one artifact on given inputs. Returns the process's
/// exit code.
int runModelMode(int argc, char **argv);

/// efrun BUNDLE --prompt ...: text to image. Returns the process's exit code.
int runPromptMode(int argc, char **argv);

} // namespace efrun

#endif
